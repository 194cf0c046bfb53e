"""script/image: layers are built once and shared, nothing half is taken for done, and what is in use stays."""

import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
# In the place of mmdebstrap, which takes minutes: a tree with what script/image itself asks of one.
BOOTSTRAP = """#!/bin/bash
set -eu
cat >/dev/null
for tree; do :; done
[ "$tree" != - ] || tree=${@: -2:1}
cd "$tree"
mkdir -p dev etc opt root run tmp usr/bin var/{tmp,log} var/cache/{apt,debconf} var/lib/{apt/lists,dpkg/updates}
echo seed >etc/name
echo removed >etc/old
echo log >var/log/build
printf 'Package: tiny\\nStatus: install ok installed\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' >var/lib/dpkg/status
"""


class Source:
    """A source tree of its own with small definitions, and an image store."""

    def __init__(self, place: Path):
        self.top, self.store = place / "source", place / "store"
        shutil.copytree(TOP / "script", self.top / "script")
        (self.top / "bin").mkdir()
        self.program("bin/mmdebstrap", BOOTSTRAP)
        self.program("images/top/customize", "#!/bin/sh\necho 1 >$1/opt/client\n")
        self.define("seed", "chmod 4755 $1/etc/name", packages="tiny")
        self.define("one", "echo one >$1/opt/one; rm $1/etc/old", base="seed", environment="A=1")
        self.define("two", "echo two >$1/opt/two", base="one", environment="B=2")

    def program(self, path: str, text: str) -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def define(self, name: str, customize: str, **files) -> None:
        self.program(f"images/{name}/customize", f"#!/bin/sh\nset -e\n{customize}\n")
        for file, text in files.items():
            (self.top / "images" / name / file).write_text(text + "\n")

    def command(self, *arguments) -> dict:
        environment = {**os.environ, "SANDY_IMAGE_DIR": str(self.store), "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}"}
        return {"args": [str(self.top / "script" / "image"), *arguments], "env": environment}

    def run(self, *arguments, status: int = 0) -> str:
        done = subprocess.run(**self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == status, done.stdout
        return done.stdout

    def about(self, name: str) -> dict:
        return json.loads((self.store / name / "image.json").read_text())

    def layer(self, name: str) -> Path:
        """The tree of an image's own layer."""
        return self.store / self.about(name)["layers"][-1] / "tree"

    def version(self, name: str) -> str:
        return (self.store / name / "rootfs").resolve().parent.name

    def changed_at(self, name: str) -> int:
        return (self.store / name / "image.json").stat().st_mtime_ns

    def stored(self) -> set:
        return {each.name for each in self.store.iterdir() if each.is_dir() and each.name != ".users"}

    def in_use(self, data: Path, version: str) -> None:
        """As a server does whose sandbox stands on a version."""
        for folder in ("sandboxes/1", "layers"):
            (data / folder).mkdir(parents=True)
        (data / "sandboxes/1/origin.json").write_text(json.dumps({"image": f"{version}/rootfs", "layer": ""}))
        (self.store / ".users").mkdir(exist_ok=True)
        (self.store / ".users" / "server").symlink_to(data)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    source = Source(tmp_path_factory.mktemp("built"))
    source.run()
    return source


@pytest.fixture
def built(source, built_once):
    """All three images, built."""
    subprocess.run(["cp", "--archive", built_once.store, source.store], check=True)
    return source


def files(tree: Path) -> set:
    return {str(each.relative_to(tree)) for each in tree.rglob("*") if not each.is_dir()}


def test_a_layer_holds_what_its_definition_changes(built):
    assert built.about("one")["layers"] == built.about("seed")["layers"] + [built.layer("one").parent.name]
    assert built.about("two")["layers"][:2] == built.about("one")["layers"]
    assert files(built.layer("two")) == {"opt/two"}
    assert files(built.layer("one")) == {"opt/one", "etc/old"}
    assert (built.layer("one") / "etc/old").is_char_device()  # a whiteout
    assert files(built.store / "two" / "rootfs") == {"opt/client"}


def test_an_image_tells_what_it_is(built):
    about = built.about("two")
    assert about["environment"] == {"A": "1", "B": "2"}
    assert about["packages"] == {"tiny": "1.0"}
    layers = [json.loads((built.store / each / "layer.json").read_text()) for each in about["layers"]]
    assert [each["name"] for each in layers] == ["seed", "one", "two"]
    assert about["size_bytes"] == sum(each["size_bytes"] for each in layers) > 0


def test_an_archive_is_all_of_an_image(built, tmp_path):
    with open(tmp_path / "archive", "wb") as file:
        subprocess.run(**built.command("--archive", "two"), stdout=file, check=True)
    with tarfile.open(tmp_path / "archive") as archive:
        names = set(archive.getnames())
    assert {"./etc/name", "./opt/one", "./opt/two", "./opt/client"} < names and "./etc/old" not in names


def test_a_tree_is_clean(built):
    seed = built.layer("seed")
    assert not (seed / "var/log/build").exists()
    assert (seed / "etc/machine-id").read_text() == ""
    assert (seed / "etc/name").stat().st_mode & 0o7777 == 0o755


def test_what_is_current_is_not_built_again(built):
    before = built.stored()
    said = built.run()
    assert [f"image {each} is current" in said for each in ("seed", "one", "two")] == [True] * 3
    assert built.stored() == before


def test_a_change_on_top_leaves_the_layers(built):
    before = {name: built.about(name)["layers"] for name in ("seed", "one", "two")}
    old = built.version("two")
    built.program("images/top/customize", "#!/bin/sh\necho 2 >$1/opt/client\n")
    assert "customizing" not in built.run()
    assert {name: built.about(name)["layers"] for name in before} == before
    assert (built.store / "two/rootfs/opt/client").read_text() == "2\n"
    assert (built.store / old / "rootfs/opt/client").read_text() == "1\n"  # sandboxes may stand on it


def test_a_change_of_variables_leaves_the_layers(built):
    before = built.about("two")["layers"]
    (built.top / "images/one/environment").write_text("A=other\n")
    assert "customizing" not in built.run()
    assert built.about("two")["layers"] == before and built.about("two")["environment"]["A"] == "other"


def test_a_change_of_a_base_builds_what_stands_on_it(built):
    before = {name: built.layer(name) for name in ("seed", "one", "two")}
    built.define("one", "echo changed >$1/opt/one")
    built.run()
    assert [built.layer(name) == tree for name, tree in before.items()] == [True, False, False]
    assert (built.layer("one") / "opt/one").read_text() == "changed\n"


def test_what_was_before_comes_back_without_a_build(built):
    before = built.about("two")
    built.define("one", "echo changed >$1/opt/one")
    built.run()
    built.define("one", "echo one >$1/opt/one; rm $1/etc/old")
    switched = built.changed_at("two")
    assert "customizing" not in built.run()
    assert built.about("two") == before
    assert built.changed_at("two") > switched  # for servers, which replace what they keep warm of older images


def test_rebuilding_makes_a_layer_anew(built):
    before = built.layer("one")
    assert "customizing" in built.run("--rebuild", "one")
    assert built.layer("one") != before
    built.run()
    assert built.about("two")["layers"][1] == built.layer("one").parent.name


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_build_leaves_nothing_that_counts(source, how, tmp_path):
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    source.define("one", f"echo half >$1/opt/one; echo >{fifo}; sleep 1000", base="seed")
    building = subprocess.Popen(**source.command("one"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    fifo.read_text()  # its customizing has begun
    building.send_signal(how)
    building.stderr.read()  # until everything that it started has ended
    assert building.wait() != 0
    assert not (source.store / "one").exists()
    source.define("one", "echo whole >$1/opt/one")
    source.run("one")
    assert (source.layer("one") / "opt/one").read_text() == "whole\n"
    assert not [each for each in source.stored() if "building" in each]


def test_a_failed_build_says_so_and_leaves_the_image_as_it_was(built):
    before = built.version("one")
    built.define("one", "exit 3")
    built.run("one", status=3)
    assert built.version("one") == before


def test_pruning_leaves_what_images_list(built):
    built.define("one", "echo changed >$1/opt/one")
    before = built.stored()
    built.run()
    new = {built.version(name) for name in ("seed", "one", "two")} | set(built.about("two")["layers"])
    assert new < built.stored() and before < built.stored()
    built.run("--prune")
    assert built.stored() == new | {"seed", "one", "two"}


def test_pruning_leaves_what_a_sandbox_or_a_snapshot_stands_on(built, tmp_path):
    old = built.version("two")
    layers = built.about("two")["layers"]
    built.in_use(tmp_path / "data", old)
    built.define("one", "echo changed >$1/opt/one")
    built.run()
    built.run("--prune")
    assert {old, *layers} < built.stored()
    (tmp_path / "data/sandboxes/1/origin.json").unlink()
    built.run("--prune")
    assert not {old, *layers[1:]} & built.stored()


def test_pruning_removes_nothing_while_it_cannot_know(built, tmp_path):
    built.in_use(tmp_path / "data", built.version("two"))
    built.define("two", "echo changed >$1/opt/two")
    built.run()
    before = built.stored()
    shutil.rmtree(tmp_path / "data")
    assert "is not here" in built.run("--prune", status=1)
    assert built.stored() == before


def test_an_image_without_layers_is_built_as_layers(source):
    """As an earlier release of this script built it."""
    (source.store / ".seed-1/rootfs").mkdir(parents=True)
    (source.store / ".seed-1/image.json").write_text(json.dumps({"name": "seed", "digest": "1", "size_bytes": 1}))
    (source.store / "seed").mkdir()
    (source.store / "seed/rootfs").symlink_to("../.seed-1/rootfs")
    (source.store / "seed/image.json").symlink_to("rootfs/../image.json")
    source.run("seed")
    assert source.about("seed")["layers"] and ".seed-1" in source.stored()
    source.run("--prune")
    assert ".seed-1" not in source.stored()
