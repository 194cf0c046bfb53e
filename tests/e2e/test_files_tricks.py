"""Paths made to lead out of a sandbox: none does. Every attempt names a file of this machine that must not be read or changed."""

import io
import os
import tarfile

import pytest
from service import answer
from waiting import wait_until

SECRET = "only this machine knows"


@pytest.fixture(scope="module")
def host_file(tmp_path_factory):
    """A file that everybody on this machine may read and change; it must come through unharmed."""
    folder = tmp_path_factory.mktemp("host")
    os.chmod(folder, 0o777)
    path = folder / "secret"
    path.write_text(SECRET)
    os.chmod(path, 0o666)
    yield path
    assert path.read_text() == SECRET and sorted(os.listdir(folder)) == ["secret"]


# What is planted in the sandbox before (a shell command), and the path that is then asked for; {host} is the file's path.
TRICKS = {
    "the path itself": ("", "{host}"),
    "dots from the workspace": ("", "../../../../../../../../..{host}"),
    "dots from far below": ("mkdir -p a/b", "a/b/../../../../../../../..{host}"),
    "a link to the file": ("ln -s {host} trick", "trick"),
    "a link to its directory": ("ln -s $(dirname {host}) trick", "trick/secret"),
    "a link to the root": ("ln -s / trick", "trick{host}"),
    "a link of many dots": ("ln -s ../../../../../../../.. trick", "trick{host}"),
    "links in a chain": ("ln -s / one; ln -s one two; ln -s two trick", "trick{host}"),
    "the root of the process": ("", "/proc/self/root{host}"),
    "the root of process 1": ("", "/proc/1/root{host}"),
    "the directory of process 1": ("", "/proc/1/cwd/../../..{host}"),
    "a link to the root of the process": ("ln -s /proc/self/root trick", "trick{host}"),
    "the root of a thread": ("", "/proc/thread-self/root{host}"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_leads_out(api, box, host_file, trick):
    plant, path = (each.format(host=host_file) for each in TRICKS[trick])
    api.exec(box, plant)
    base = f"/api/sandboxes/{box}/files"
    reads = [
        api.read(box, path), api.http.get(base, params={"path": path}), api.http.get(f"{base}/stat", params={"path": path}),
        api.http.get(f"{base}/archive", params={"path": os.path.dirname(path) or "."}),
        api.http.get(f"{base}/list", params={"path": os.path.dirname(path) or "."}),
    ]  # fmt: skip
    for each in reads:
        assert SECRET not in each.text and each.status_code < 500, each.text
    assert reads[0].status_code == reads[1].status_code == 404 or trick.startswith("the directory of")
    changes = [
        api.http.post(f"{base}/write", json={"path": path, "content": "changed"}),
        api.http.put(base, params={"path": path}, content=b"changed"),
        api.http.post(f"{base}/move", json={"from": path, "to": "/tmp/taken"}),
        api.http.post(f"{base}/mkdir", json={"path": path + "-made"}),
        api.http.delete(base, params={"path": path, "recursive": "true"}),
        api.http.delete(base, params={"path": os.path.dirname(path) or "none", "recursive": "true"}),
    ]
    assert all(each.status_code < 500 for each in changes), [each.text for each in changes]
    assert host_file.read_text() == SECRET
    assert SECRET not in api.exec(box, "cat /tmp/taken")["stdout"]
    assert api.output(box, "echo alive") == "alive\n"


def test_a_directory_swapped_for_a_link_while_files_are_written_and_read_leads_nowhere(api, box, host_file):
    folder = host_file.parent
    swap = f"mkdir -p real; cp /etc/hostname real/secret; while :; do ln -sfn {folder} d; ln -sfn /proc/1/root{folder} d; ln -sfn real d; done"
    process = api.start(box, swap)
    wait_until(lambda: api.exec(box, "test -e d")["exitCode"] == 0, "the swapping has begun")
    for number in range(60):
        api.http.post(f"/api/sandboxes/{box}/files/write", json={"path": "d/secret", "content": "changed"})
        api.http.put(f"/api/sandboxes/{box}/files", params={"path": f"d/new-{number}"}, content=b"changed")
        assert SECRET not in api.read(box, "d/secret").text
        api.http.delete(f"/api/sandboxes/{box}/files", params={"path": "d/secret"})
    assert answer(api.http.get(f"/api/sandboxes/{box}/processes/{process['process_id']}"))["status"] == "running"


def test_descriptors_of_the_guest_are_no_files(api, box):
    for path in [f"/proc/{who}/fd/{number}" for who in ("self", "1") for number in range(12)] + ["/proc/1/exe", "/proc/1/mem", "/dev/stdin"]:
        assert api.read(box, path, raw="1").status_code in (200, 400, 403, 404, 409)
        for response in (
            api.http.post(f"/api/sandboxes/{box}/files/write", json={"path": path, "content": "x"}),
            api.http.put(f"/api/sandboxes/{box}/files", params={"path": path + "/x"}, content=b"x"),
        ):
            assert response.status_code in (400, 403, 404, 409), (path, response.text)
    assert api.output(box, "echo alive") == "alive\n"


def member(name, **fields):
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_archives_cannot_write_outside(api, box, host_file):
    host = str(host_file)
    archives = {
        "dots": [member("../" * 12 + host.lstrip("/"), size=1)],
        "absolute": [member(host, size=1)],
        "through a link": [member("d", type=tarfile.SYMTYPE, linkname=str(host_file.parent)), member("d/secret", size=1)],
        "through the root": [member("r", type=tarfile.SYMTYPE, linkname="/proc/1/root"), member("r" + host, size=1)],
        "hard link": [member("h", type=tarfile.LNKTYPE, linkname=host), member("h", size=1)],
        "device": [member("vda", type=tarfile.BLKTYPE, devmajor=254, devminor=0), member("mem", type=tarfile.CHRTYPE, devmajor=1, devminor=1)],
    }
    for name, members in archives.items():
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            for each in members:
                archive.addfile(each, io.BytesIO(b"x" * each.size))
        url = f"/api/sandboxes/{box}/files/archive"
        response = api.http.post(url, params={"path": f"in-{len(name)}"}, content=made.getvalue(), headers={"Content-Type": "application/x-tar"})
        assert response.status_code < 500, (name, response.text)
        assert host_file.read_text() == SECRET
    assert api.output(box, "find /workspace -type b -o -type c") == ""


def test_names_that_are_no_paths_are_refused(api, shared_box):
    for path in ("a\0b", "x" * 5000, "/" + "y" * 300, "a/" * 3000):
        for response in (
            api.read(shared_box, path),
            api.http.put(f"/api/sandboxes/{shared_box}/files", params={"path": path}, content=b"x"),
            api.http.post(f"/api/sandboxes/{shared_box}/files/mkdir", json={"path": path + "/z"}),
        ):
            assert 400 <= response.status_code < 500, (path[:20], response.text)
