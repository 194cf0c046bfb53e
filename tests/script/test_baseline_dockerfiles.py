"""The baselines' Dockerfiles: Docker makes of them what script/image makes of the definitions beside them."""

import json
import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
IMAGES = TOP / "deploy" / "images"
BASELINES = sorted(each.parent.name for each in IMAGES.glob("*/Dockerfile"))
# What describes an image; every other file of its folder is put into it.
DESCRIPTION = {"Dockerfile", "base", "config", "customize", "environment", "inputs", "packages"}
# What both start from, in the words of either.
DEBIAN = {"bookworm": "debian:12-slim"}


def entries(file: Path) -> list:
    """As script/lib.sh reads a list."""
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line]


def definitions(name: str) -> list:
    """The folders that an image is made of, lowest first."""
    below = [folder for base in entries(IMAGES / name / "base") for folder in definitions(base)]
    return [*below, IMAGES / name]


class Dockerfile:
    def __init__(self, name: str):
        text = re.sub(r"\\\n", " ", (IMAGES / name / "Dockerfile").read_text())
        self.lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]

    def all(self, instruction: str) -> list:
        return [rest for each, rest in self.lines if each == instruction]

    def one(self, instruction: str) -> str:
        (rest,) = self.all(instruction)
        return rest

    def copied(self) -> set:
        return {TOP / source for each in self.all("COPY") for source in each.split()[:-1]}


@pytest.fixture(params=BASELINES)
def name(request):
    return request.param


def test_it_starts_from_the_release_of_debian_that_script_image_takes(name):
    releases = re.findall(r"^\s+(\w+) \"\$rootfs\"", (TOP / "script" / "image-tree.sh").read_text(), re.MULTILINE)
    assert [DEBIAN[each] for each in releases] == [Dockerfile(name).one("FROM")]


def test_its_packages_are_those_of_the_definitions(name):
    made = Dockerfile(name)
    lists = {folder / "packages" for folder in definitions(name) if (folder / "packages").exists()}
    assert {each for each in made.copied() if each.name == "packages"} == lists
    # No package and no version stands in the Dockerfile itself.
    (install,) = [each for each in made.all("RUN") if "apt-get install" in each]
    assert re.search(r"sed 's/#\.\*//' [^|]*\|[^|]* xargs apt-get install --yes --no-install-recommends +&&", install)
    assert not [each for each in made.all("RUN") if "pip install" in each]


def test_its_files_are_those_of_the_definitions_and_docker_is_sent_them(name):
    folders = definitions(name) + [TOP / each for folder in definitions(name) for each in entries(folder / "inputs")]
    files = {each for folder in folders for each in folder.iterdir() if each.is_file() and each.name not in DESCRIPTION}
    copied = Dockerfile(name).copied()
    assert {each for each in copied if each.is_file() and each.name != "packages"} == files
    assert {each for each in copied if not each.is_file()} <= {TOP / "client" / "python" / "sandy"}
    ignored = entries(TOP / ".dockerignore")
    assert not [each for each in copied if any(part in ignored for part in each.relative_to(TOP).parts)]


def test_a_container_of_it_starts_as_the_definition_says(name):
    made = Dockerfile(name)
    environment = [line for folder in definitions(name) for line in entries(folder / "environment")]
    assert sorted(made.one("ENV").split()) == sorted(environment)
    config = json.loads((IMAGES / name / "config").read_text())
    assert config == {
        "Entrypoint": json.loads(made.one("ENTRYPOINT")),
        "WorkingDir": made.one("WORKDIR"),
        "ExposedPorts": {f"{made.one('EXPOSE')}/tcp": {}},
        "StopSignal": "SIGTERM",  # Docker's, where nothing is said
    }
