"""The unit of systemd: that systemd understands it, that what it names exists, and that sandboxes work with what it leaves the server."""

import json
import re
import shlex
import subprocess
import urllib.request
from pathlib import Path

import pytest
from leftovers import leftovers
from monitoring import eventually
from running_server import PROGRAM, TOP, Server

UNIT = TOP / "deploy" / "systemd" / "sandyd.service"
README = TOP / "deploy" / "README.md"
CAP_SYS_MODULE = 16  # linux/capability.h


def settings() -> dict:
    """All values of every name, in their order."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def only(name: str) -> str:
    value, = settings()[name]
    return value


def seconds(duration: str) -> float:
    """Of a DURATION as docs/configuration.md has it, or a number of seconds."""
    units = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd]?)", duration))


def default(name: str, tmp_path) -> str:
    """What a setting is when nobody says anything, in the server's own words."""
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    printed = subprocess.run([PROGRAM, "--config", empty, "--print-config"], env={}, capture_output=True, text=True, check=True).stdout
    return re.search(rf'^{name} = "?(.*?)"?(?:\s+#.*)?$', printed, re.MULTILINE)[1]


def verify(unit: Path) -> subprocess.CompletedProcess:
    return subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit], capture_output=True, text=True)


def test_systemd_understands_it(tmp_path):
    # systemd also looks whether the program is there: here it is the one that was built.
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={PROGRAM}", UNIT.read_text()))
    checked = verify(unit)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nKilMode=process\n"))
    assert "KilMode" in verify(unit).stderr  # it would have said something


def test_its_flags_are_the_servers():
    program, *arguments = shlex.split(only("ExecStart"))
    help_text = subprocess.run([PROGRAM, "--help"], env={}, capture_output=True, text=True, check=True).stdout
    flags = [argument for argument in arguments if argument.startswith("-")]
    assert flags == ["--config"]
    for flag in flags:
        assert re.search(rf"^  (-\w,)?{flag} ", help_text, re.MULTILINE)
    assert Path(program).name == PROGRAM.name


def test_the_sample_is_a_configuration_that_it_starts_with():
    done = subprocess.run([PROGRAM, "--config", TOP / "deploy" / "sandy.toml", "--print-config"], env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_configuration_that_cannot_be_used_is_not_tried_again(tmp_path):
    (tmp_path / "sandy.toml").write_text("nonsense = 1\n")
    done = subprocess.run([PROGRAM, "--config", tmp_path / "sandy.toml", "--print-config"], env={}, capture_output=True, text=True)
    assert str(done.returncode) == only("RestartPreventExitStatus") and "nonsense" in done.stderr


def test_directories_are_those_of_the_server(tmp_path):
    assert f"/var/lib/{only('StateDirectory')}" == default("data_dir", tmp_path) == only("RequiresMountsFor")
    assert default("image_dir", tmp_path).startswith(default("data_dir", tmp_path) + "/")
    assert shlex.split(only("ExecStart"))[-1] == f"/etc/{only('ConfigurationDirectory')}/sandy.toml"


def test_it_waits_longer_than_the_server_does(tmp_path):
    assert seconds(only("TimeoutStopSec")) >= seconds(default("shutdown_grace", tmp_path)) + 10
    assert seconds(only("RestartSec")) < seconds(default("guest_lease", tmp_path)) / 10


def test_systemd_ends_no_sandbox():
    assert (only("KillMode"), only("Delegate"), only("OOMPolicy"), only("TasksMax")) == ("process", "yes", "continue", "infinity")


def test_nothing_is_taken_from_sandboxes():
    """Mount namespaces, filters of system calls and covers over /proc: the server would hand them on."""
    breaking = (
        r"(Protect|Private|RestrictNamespaces|RestrictAddress|RestrictReal|RestrictSUID|RestrictFile|SystemCall|Device|IPAddress)\w*"
        r"|\w*Paths|LockPersonality|MemoryDenyWriteExecute|ProcSubset|RootDirectory|DynamicUser|User|UMask"
    )
    assert [name for name in settings() if re.fullmatch(breaking, name)] == []


def test_the_journal_gets_the_log_and_no_key():
    """The key that the server makes is printed, on standard output; what it complains of is on standard error."""
    assert (only("StandardOutput"), only("StandardError")) == ("null", "journal")


@pytest.fixture
def installed(tmp_path) -> Path:
    """A tree in which the README's commands were carried out, but for those that speak to systemd."""
    block = re.search(r"## A service of systemd.*?```sh\n(.*?)```", README.read_text(), re.DOTALL)[1]
    for line in block.splitlines():
        if "systemctl" in line:
            continue
        line = line.removeprefix("sudo ").replace("build/release/", f"{PROGRAM.parent}/")
        line = re.sub(r"(?<= )/(?=usr/|etc/)", f"{tmp_path}/", line)
        if not line.startswith("install -d"):
            (tmp_path / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
        subprocess.run(shlex.split(line), cwd=TOP, check=True)
    return tmp_path


def test_what_is_installed_runs_as_the_unit_starts_it(installed, tmp_path_factory):
    """With its capabilities, from its directory, with its configuration, and over a restart."""
    assert (installed / "etc/systemd/system/sandyd.service").read_bytes() == UNIT.read_bytes()
    program, *arguments = [word if word.startswith("-") else f"{installed}{word}" for word in shlex.split(only("ExecStart"))]
    taken = [name.removeprefix("CAP_").lower() for line in settings()["CapabilityBoundingSet"] for name in line.removeprefix("~").split()]
    assert all(line.startswith("~") for line in settings()["CapabilityBoundingSet"]) and only("NoNewPrivileges") == "yes"
    within = ("setpriv", "--no-new-privs", "--bounding-set", ",".join(f"-{name}" for name in taken))
    server = Server(tmp_path_factory.mktemp("s") / "data", tuple(arguments), program=Path(program), within=within).start()

    def call(path: str, body: dict) -> dict:
        request = urllib.request.Request(server.base_url + path, json.dumps(body).encode(), {"Authorization": f"Bearer {server.api_key}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def run(box: str, command: str) -> str:
        done = call(f"/api/sandboxes/{box}/exec", {"command": command})
        assert done["exitCode"] == 0, done
        return done["stdout"]

    try:
        assert f"{server.data_dir.stat().st_mode & 0o777:04o}" == only("StateDirectoryMode")
        bounds = re.search(r"CapBnd:\s*(\w+)", Path(f"/proc/{server.pid}/status").read_text())[1]
        assert "sys_module" in taken and int(bounds, 16) >> CAP_SYS_MODULE & 1 == 0
        box = call("/api/sandboxes", {})["sandboxId"]
        rights = "touch kept && chmod u+s kept && stat -c %A kept && mkdir /mnt/m && chown 1000 /mnt/m"
        assert run(box, f"{rights} && python3 -c 'print(6 * 7)'") == "-rwSr--r--\n42\n"
        assert run(call(f"/api/sandboxes/{box}/fork", {})["sandboxes"][0]["sandboxId"], "ls") == "kept\n"
        assert server.stop() == 0
        server.start()
        assert run(box, "ls") == "kept\n"
        assert server.call("GET", "/api/agents")["agents"]
        server.terminate_all()
        # The layer that both stood on goes after the answer.
        eventually(lambda: leftovers(server) == [], "nothing of the sandboxes is left")
    finally:
        if server.is_running():
            server.stop()
    assert leftovers(server) == []
