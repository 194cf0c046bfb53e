"""files/write, files/read and files/list, as existing clients use them."""

import base64
import hashlib
from os.path import normpath

import pytest
from service import answer, refusal


@pytest.mark.parametrize("path, absolute", [
    ("a.txt", "/workspace/a.txt"), ("src/deep/main.jsx", "/workspace/src/deep/main.jsx"), ("/tmp/x/y", "/tmp/x/y"),
    ("/root/.claude/projects/p/result.json", "/root/.claude/projects/p/result.json"), ("./b", "/workspace/b"),
    ("mit leer zeichen/grüße.txt", "/workspace/mit leer zeichen/grüße.txt"), ("src/../c", "/workspace/c"),
])  # fmt: skip
def test_a_file_is_written_with_its_directories_and_read_back(api, shared_box, path, absolute):
    written = api.write(shared_box, path, "grüße\n")
    assert written["success"] is True and written["size"] == 8
    assert written["path"].startswith("/") and normpath(written["path"]) == absolute
    read = answer(api.read(shared_box, path))
    assert (read["content"], read["encoding"], normpath(read["path"]), read["size"]) == ("grüße\n", "utf-8", absolute, 8)
    assert api.output(shared_box, f"cat '{absolute}'") == "grüße\n"


def test_a_file_is_replaced_and_may_be_empty(api, shared_box):
    api.write(shared_box, "twice", "long long long")
    assert api.write(shared_box, "twice", "")["size"] == 0
    read = answer(api.read(shared_box, "twice"))
    assert (read["content"], read["size"]) == ("", 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf8", "text", "UTF-8", None])
def test_text_has_several_names_and_is_never_guessed_to_be_base64(api, shared_box, encoding):
    api.write(shared_box, "text", "aGVsbG8=", encoding=encoding)
    assert api.output(shared_box, "cat text") == "aGVsbG8="


def test_base64_is_decoded_and_binary_content_is_read_as_base64(api, shared_box):
    data = bytes(range(256)) * 17
    assert api.write(shared_box, "blob", base64.b64encode(data).decode(), encoding="base64")["size"] == len(data)
    assert api.output(shared_box, "sha256sum < blob").split()[0] == hashlib.sha256(data).hexdigest()
    read = answer(api.read(shared_box, "blob"))
    assert read["encoding"] == "base64" and base64.b64decode(read["content"]) == data and read["size"] == len(data)


def test_the_order_of_fields_does_not_matter(api, shared_box):
    for text in ('{"content": "YQ==", "encoding": "base64", "path": "o"}', '{"encoding": "base64", "path": "o", "content": "YQ=="}'):
        answer(api.http.post(f"/api/sandboxes/{shared_box}/files/write", content=text))
        assert api.output(shared_box, "cat o; rm o") == "a"


@pytest.mark.parametrize("form", [{"params": {"raw": "1"}}, {"params": {"encoding": "raw"}}, {"headers": {"Accept": "application/octet-stream"}}])
def test_raw_bytes_come_on_request(api, shared_box, form):
    data = b"\xff\x00raw\n"
    api.write(shared_box, "raw", base64.b64encode(data).decode(), encoding="base64")
    response = api.http.get(
        f"/api/sandboxes/{shared_box}/files/read", params={"path": "raw", **form.get("params", {})}, headers=form.get("headers")
    )
    assert response.status_code == 200 and response.content == data
    assert not response.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("mode, shown", [(None, "644"), (0o755, "755"), ("0755", "755"), ("600", "600"), ("0o700", "700")])
def test_the_mode_is_a_number_or_an_octal_string(api, shared_box, mode, shown):
    api.write(shared_box, f"mode-{shown}-{mode}", "x", mode=mode)
    assert api.output(shared_box, f"stat -c %a mode-{shown}-{mode}") == shown + "\n"


def test_a_body_of_many_megabytes_is_written(api, shared_box):
    data = hashlib.sha256(b"seed").digest() * (45 * 1024 * 1024 // 32)
    written = api.write(shared_box, "large", base64.b64encode(data).decode(), encoding="base64")
    assert written["size"] == len(data)
    assert api.output(shared_box, "sha256sum < large; rm large").split()[0] == hashlib.sha256(data).hexdigest()


def test_a_large_text_is_read_whole(api, shared_box):
    api.exec(shared_box, "seq 1 2000000 > numbers")
    read = answer(api.read(shared_box, "numbers"))
    assert read["content"] == "".join(f"{number}\n" for number in range(1, 2000001))
    assert read["size"] == len(read["content"])


def test_escapes_and_control_characters_survive_both_ways(api, shared_box):
    text = '"\\/\b\f\n\r\t\0\x1f\x7f\u2028\U0001f600</script>é'
    api.write(shared_box, "odd", text)
    assert answer(api.read(shared_box, "odd"))["content"] == text


@pytest.mark.parametrize("body, status", [
    ({"path": "x"}, 422), ({"content": "x"}, 422), ({"path": "x", "content": None}, 422), ({"path": 7, "content": "x"}, 422),
    ({"path": "x", "content": 7}, 422), ({"path": "x", "content": "a*b", "encoding": "base64"}, 400),
    ({"path": "x", "content": "abc", "encoding": "base64"}, 400), ({"path": "", "content": "x"}, (400, 422)),
    ({"path": "x", "content": "x", "encoding": "latin-9"}, (400, 422)), ({"path": "a\0b", "content": "x"}, (400, 422)),
    ({"path": "x", "content": "x", "mode": "rwx"}, (400, 422)),
])  # fmt: skip
def test_a_write_that_makes_no_sense_is_refused_and_writes_nothing(api, box, body, status):
    refusal(api.http.post(f"/api/sandboxes/{box}/files/write", json=body), status)
    assert api.output(box, "ls -A /workspace") == ""


@pytest.mark.parametrize("path, status", [("/etc", (400, 409)), ("/etc/passwd/x", (400, 409)), ("/proc/1/comm", (400, 403, 409, 500))])
def test_a_write_that_cannot_be_done_says_so(api, shared_box, path, status):
    body = {"path": path, "content": "x"}
    detail = refusal(api.http.post(f"/api/sandboxes/{shared_box}/files/write", json=body), status)
    assert "sandbox not found" not in detail.lower()


def test_a_missing_file_is_404_without_the_words_that_mean_a_lost_sandbox(api, shared_box):
    for path in ("missing.txt", "/no/such/file", "no/dir/x"):
        detail = refusal(api.read(shared_box, path), 404)
        assert detail.startswith("File not found") and path in detail
        assert "sandbox" not in detail.lower()


def test_reading_a_directory_is_400_and_without_a_path_422(api, shared_box):
    refusal(api.read(shared_box, "/etc"), 400)
    refusal(api.http.get(f"/api/sandboxes/{shared_box}/files/read"), (400, 422))


def test_files_without_a_size_and_devices_do_not_hang(api, shared_box):
    assert "Name:" in answer(api.read(shared_box, "/proc/self/status"))["content"]
    api.exec(shared_box, "mkfifo /tmp/fifo")
    for path in ("/tmp/fifo", "/dev/zero"):
        assert api.read(shared_box, path).status_code in (400, 403, 409)


def test_list_is_recursive_relative_sorted_and_leaves_out_dependencies(api, box):
    command = (
        "mkdir -p src/deep empty node_modules/x .git/objects sub/node_modules/y dist .hidden;"
        "touch b a src/App.jsx src/deep/z node_modules/x/i.js .git/HEAD sub/node_modules/y/k dist/main.js .hidden/f 'with space'"
    )
    api.exec(box, command)
    for path in (None, "/workspace", ".", ""):
        body = answer(api.http.get(f"/api/sandboxes/{box}/files/list", params={} if path is None else {"path": path}))
        expected = [".hidden/f", "a", "b", "dist/main.js", "src/App.jsx", "src/deep/z", "with space"]
        assert body["files"] == expected

    def listed(path):
        return answer(api.http.get(f"/api/sandboxes/{box}/files/list", params={"path": path}))["files"]

    assert listed("src") == listed("/workspace/src/") == ["App.jsx", "deep/z"]
    assert listed("dist") == ["main.js"] and listed("node_modules") == ["x/i.js"] and listed("empty") == []


def test_list_of_a_missing_directory_is_404_or_empty_with_the_file_wording(api, shared_box):
    response = api.http.get(f"/api/sandboxes/{shared_box}/files/list", params={"path": "/no/such"})
    if response.status_code == 404:
        assert "sandbox" not in refusal(response, 404).lower()
    else:
        assert answer(response)["files"] == []


def test_list_does_not_follow_links_in_circles(api, box):
    api.exec(box, "mkdir d && ln -s . d/self && ln -s .. d/up && touch d/f")
    files = answer(api.http.get(f"/api/sandboxes/{box}/files/list"))["files"]
    assert "d/f" in files and len(files) <= 3
