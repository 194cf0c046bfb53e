"""Files of any size, as their bytes: upload, download, ranges, digests, and what is done to whole trees."""

import base64
import hashlib
import io
import os
import socket
import tarfile
from urllib.parse import urlsplit

import pytest
from events import stream
from memory import forget_peak, resident_bytes
from service import answer, refusal
from waiting import wait_until

MEBIBYTE = 1 << 20
LARGE = 200


def files(box: str, rest: str = "") -> str:
    return f"/api/sandboxes/{box}/files{rest}"


@pytest.fixture
def numbers(api, shared_box):
    """A file of 1000 known bytes, and its path."""
    data = bytes(number % 251 for number in range(1000))
    answer(api.http.put(files(shared_box), params={"path": "numbers"}, content=data))
    return data, {"path": "numbers"}


def test_two_hundred_mebibytes_go_in_and_out_while_the_server_stays_small(server, api, box):
    block, digest = os.urandom(MEBIBYTE), hashlib.sha256()

    def pieces():
        for number in range(LARGE):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            yield piece

    forget_peak(server)
    before = resident_bytes(server)
    written = answer(api.http.put(files(box), params={"path": "/workspace/deep/large.bin"}, content=pieces()))
    assert written["size"] == LARGE * MEBIBYTE and written["sha256"] == digest.hexdigest()
    assert api.output(box, "sha256sum < deep/large.bin").split()[0] == digest.hexdigest()

    received, size = hashlib.sha256(), 0
    with api.http.stream("GET", files(box), params={"path": "deep/large.bin"}) as response:
        assert response.status_code == 200 and int(response.headers["Content-Length"]) == LARGE * MEBIBYTE
        for piece in response.iter_raw():
            received.update(piece)
            size += len(piece)
    assert size == LARGE * MEBIBYTE and received.hexdigest() == digest.hexdigest()
    assert resident_bytes(server, "VmHWM") - before < 32 * MEBIBYTE


def test_a_range_is_part_of_the_file(api, shared_box, numbers):
    data, query = numbers
    for asked, first, last in (("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=990-", 990, 999), ("bytes=-5", 995, 999),
                               ("bytes=900-5000", 900, 999), ("bytes=-5000", 0, 999)):  # fmt: skip
        response = api.http.get(files(shared_box), params=query, headers={"Range": asked})
        assert response.status_code == 206, asked
        assert response.content == data[first : last + 1]
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/1000"
    whole = api.http.get(files(shared_box), params=query)
    assert whole.content == data and whole.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_outside_the_file_is_416(api, shared_box, numbers, asked):
    response = api.http.get(files(shared_box), params=numbers[1], headers={"Range": asked})
    assert response.status_code == 416 and response.headers["Content-Range"] == "bytes */1000"


@pytest.mark.parametrize("asked", ["bytes=a-b", "lines=1-2", "bytes=9-3", "bytes", "bytes=0-1,5-6"])
def test_a_range_nobody_understands_is_the_whole_file_or_refused(api, shared_box, numbers, asked):
    response = api.http.get(files(shared_box), params=numbers[1], headers={"Range": asked})
    assert response.status_code in (400, 416) or (response.status_code == 200 and response.content == numbers[0])


def test_head_tells_size_and_digest_without_the_bytes(api, shared_box, numbers):
    data, query = numbers
    response = api.http.head(files(shared_box), params={**query, "sha256": "1"})
    assert response.status_code == 200 and response.content == b""
    assert int(response.headers["Content-Length"]) == 1000 and response.headers["ETag"] and response.headers["Last-Modified"]
    assert response.headers["X-Content-SHA256"] == hashlib.sha256(data).hexdigest()


def test_a_file_of_no_bytes_is_a_file(api, shared_box):
    assert answer(api.http.put(files(shared_box), params={"path": "none"}, content=b""))["size"] == 0
    response = api.http.get(files(shared_box), params={"path": "none"})
    assert response.status_code == 200 and response.content == b""


def test_an_upload_with_another_digest_is_refused_and_leaves_the_old_file(api, shared_box, numbers):
    data, query = numbers
    wrong = {"X-Content-SHA256": hashlib.sha256(b"other").hexdigest()}
    response = api.http.put(files(shared_box), params=query, content=b"new", headers=wrong)
    assert refusal(response, 422) and response.json()["error"]["code"] == "digest_mismatch"
    assert api.http.get(files(shared_box), params=query).content == data
    right = base64.b64encode(hashlib.sha256(b"new").digest()).decode()
    answer(api.http.put(files(shared_box), params=query, content=b"new", headers={"Repr-Digest": f"sha-256=:{right}:"}))
    assert api.http.get(files(shared_box), params=query).content == b"new"


def test_an_upload_that_is_cut_leaves_no_part_of_a_file(server, api, box):
    address = urlsplit(server.base_url)
    head = f"PUT {files(box)}?path=part HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.api_key}\r\nContent-Length: 9999999\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + bytes(3_000_000))
    wait_until(lambda: api.output(box, "ls -A /workspace") == "", "the part is removed")


def test_errors_of_downloads_are_those_of_reads(api, shared_box):
    assert refusal(api.http.get(files(shared_box), params={"path": "missing"}), 404).startswith("File not found")
    refusal(api.http.get(files(shared_box), params={"path": "/etc"}), 400)
    refusal(api.http.get(files(shared_box)), (400, 422))
    refusal(api.http.put(files(shared_box), params={"path": "/etc"}, content=b"x"), (400, 409))


def test_a_file_longer_than_it_says_ends_where_it_said(api, box):
    api.exec(box, "head -c 5000000 /dev/zero > growing; (while :; do head -c 1000000 /dev/zero >> growing; done) > /dev/null 2>&1 &")
    response = api.http.get(files(box), params={"path": "growing"})
    assert len(response.content) == int(response.headers["Content-Length"])


def test_directories_are_made_described_moved_and_removed(api, box):
    answer(api.http.post(files(box, "/mkdir"), json={"path": "a/b/c"}))
    answer(api.http.post(files(box, "/mkdir"), json={"path": "a/b/c"}))  # is there already
    api.write(box, "a/b/file", "12345")
    found = answer(api.http.get(files(box, "/stat"), params={"path": "a/b/file"}))
    assert (found["path"], found["type"], found["size"]) == ("/workspace/a/b/file", "file", 5)
    assert answer(api.http.get(files(box, "/stat"), params={"path": "a/b"}))["type"] == "directory"
    answer(api.http.post(files(box, "/move"), json={"from": "a/b", "to": "x/y"}))
    assert api.output(box, "find . -type f") == "./x/y/file\n"
    refusal(api.http.delete(files(box), params={"path": "x"}), 409)
    answer(api.http.delete(files(box), params={"path": "x/y/file"}))
    answer(api.http.delete(files(box), params={"path": "x", "recursive": "true"}))
    assert api.output(box, "ls") == "a\n"
    for path in ("/stat", ""):
        assert api.http.get(files(box, path), params={"path": "x"}).status_code == 404
    refusal(api.http.delete(files(box), params={"path": "x"}), 404)


def test_a_move_replaces_nothing_unless_it_is_told_to(api, box):
    api.write(box, "a", "A")
    api.write(box, "b", "B")
    response = api.http.post(files(box, "/move"), json={"from": "a", "to": "b", "overwrite": False})
    assert refusal(response, 409) and api.output(box, "cat a b") == "AB"
    answer(api.http.post(files(box, "/move"), json={"from": "a", "to": "b", "overwrite": True}))
    assert api.output(box, "cat b; ls") == "Ab\n"


def test_a_link_is_described_as_a_link(api, box):
    api.exec(box, "ln -s /etc/hostname link")
    found = answer(api.http.get(files(box, "/stat"), params={"path": "link"}))
    assert found["type"] == "symlink" and found["target"] == "/etc/hostname"
    answer(api.http.delete(files(box), params={"path": "link"}))
    assert api.output(box, "test -e /etc/hostname && ls") == ""


@pytest.mark.parametrize("form", ["tar", "tgz"])
def test_a_tree_goes_out_as_an_archive(api, box, form):
    api.exec(box, "mkdir -p tree/sub && echo one > tree/a && echo two > tree/sub/b && chmod 755 tree/a && ln -s a tree/link")
    response = api.http.get(files(box, "/archive"), params={"path": "tree", "format": form})
    assert response.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(response.content), mode="r:gz" if form == "tgz" else "r:") as archive:
        members = {os.path.normpath(each.name): each for each in archive}
        assert archive.extractfile(members["sub/b"]).read() == b"two\n"
        assert members["a"].mode == 0o755 and members["link"].linkname == "a"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_goes_in_as_a_tree(api, box, mode):
    response = api.http.post(files(box, "/archive"), params={"path": "made/here"}, content=tar_of({"a": b"one", "d/b": b"two" * 500_000}, mode),
                             headers={"Content-Type": "application/x-tar"})  # fmt: skip
    answer(response)
    assert api.output(box, "cat made/here/a; wc -c < made/here/d/b") == "one1500000\n"


@pytest.mark.parametrize("content", [b"this is no archive" * 1000, b"\x1f\x8b broken"])
def test_what_is_no_archive_is_refused(api, shared_box, content):
    headers = {"Content-Type": "application/x-tar"}
    refusal(api.http.post(files(shared_box, "/archive"), params={"path": "/tmp/x"}, content=content, headers=headers), (400, 422))


def test_archives_of_missing_directories_are_404(api, shared_box):
    assert refusal(api.http.get(files(shared_box, "/archive"), params={"path": "no/such"}), 404)


def test_a_watch_tells_what_changes(api, box):
    api.exec(box, "mkdir watched")
    with stream(api.http, "GET", files(box, "/watch"), params={"path": "watched", "recursive": "true"}) as events:
        seen = []

        def until(kind, path):
            for each in events:
                if each.name in ("created", "modified", "deleted", "moved"):
                    seen.append((each.name, each.data["path"]))
                    if seen[-1] == (kind, path):
                        return each
            raise AssertionError(f"the watch ended after {seen}")

        # The stream is open before anything happens: its first event, whatever it is, tells that the watch is set.
        api.exec(box, "echo a > watched/file")
        until("created", "file")
        api.exec(box, "mkdir -p watched/sub/deep")
        until("created", "sub")
        api.exec(box, "for i in $(seq 50); do echo b > watched/sub/deep/late; sleep 0.1; test -e stop && break; done & sleep 0.3; touch stop")
        until("created", "sub/deep/late")
        api.exec(box, "mv watched/file watched/other")
        assert until("moved", "other").data["from"] == "file"
        api.exec(box, "rm watched/other")
        until("deleted", "other")


def tar_of(contents: dict, mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()
