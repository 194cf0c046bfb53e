"""What the server stands on is missing, broken or taken: a clear sentence, and nothing is left."""

import sqlite3
import time

import pytest
from leftovers import leftovers
from running_server import NotStarted, Server
from service import Service, refusal
from waiting import wait_until


def failing_create(server) -> str:
    """The sentence of a creation that must fail."""
    with Service(server.base_url, server.api_key) as api:
        response = api.http.post("/api/sandboxes", json={})
        detail = refusal(response, (500, 502, 503, 504))
        assert str(server.data_dir) not in response.text
        # One short sentence for people, with a reason in it.
        assert len(detail) < 500 and detail.isprintable() and not detail.rstrip().endswith(":")
        assert api.http.get("/api/sandboxes").json()["sandboxes"] == []
        assert api.http.get("/api/health").status_code == 200
    return detail


def script(folder, text):
    path = folder / "crun"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_crun_creating_fails_clearly_and_leaves_nothing(sandyd):
    server = sandyd("--crun", "/nonexistent/crun")
    assert "crun" in failing_create(server)
    assert leftovers(server) == []


@pytest.mark.parametrize("text, reason", [
    ("echo 'no such luck' >&2; exit 1", "no such luck"), ("exit 0", "not run"), ("exit 3", "3"), ("kill -9 $$", "9"),
    ("head -c 10000000 /dev/zero >&2; exit 1", ""), ("yes 'much too long' | head -c 10000000 >&2; exit 1", "too long"),
], ids=["says why", "lies", "says nothing", "is killed", "writes nonsense", "writes without end"])  # fmt: skip
def test_a_crun_that_fails_makes_creating_fail_clearly_and_leaves_nothing(sandyd, tmp_path, text, reason):
    server = sandyd("--crun", script(tmp_path, text))
    assert reason in failing_create(server)
    assert leftovers(server) == []


def test_a_crun_that_hangs_is_given_up_and_ended(sandyd, tmp_path):
    server = sandyd("--crun", script(tmp_path, "trap '' TERM; sleep 3600 & wait"), "--create-timeout", "1s")
    with Service(server.base_url, server.api_key) as api:
        started = time.monotonic()
        refusal(api.http.post("/api/sandboxes", json={}), (500, 503, 504))
        assert time.monotonic() - started < 4
    wait_until(lambda: leftovers(server) == [] or None, "the creation is undone", 15)


def test_a_second_server_on_the_same_data_refuses_with_a_clear_sentence(sandyd):
    first = sandyd()
    second = Server(first.data_dir, program=first.program)
    with pytest.raises(NotStarted) as refused:
        second.start()
    assert refused.value.exit_code not in (0, -9)
    assert str(first.data_dir) in refused.value.output and "in use by another server" in refused.value.output
    with Service(first.base_url, first.api_key) as api, api.box() as box:
        assert api.output(box, "echo fine") == "fine\n"


def test_a_broken_store_is_named_and_not_overwritten(tmp_path):
    server = Server(tmp_path / "d")
    server.data_dir.mkdir()
    (server.data_dir / "sandy.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(NotStarted) as refused:
        server.start()
    assert refused.value.exit_code not in (0, -9) and "sandy.db" in refused.value.output
    assert (server.data_dir / "sandy.db").read_bytes() == b"this is no database" * 1000


def test_a_store_locked_by_a_stranger_delays_or_refuses_but_breaks_nothing(sandyd):
    server = sandyd("--create-timeout", "2s")
    with Service(server.base_url, server.api_key) as api:
        stranger = sqlite3.connect(server.data_dir / "sandy.db", timeout=0, isolation_level=None)
        try:
            stranger.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as failure:
            assert "locked" in str(failure)  # the server lets nobody in: nothing to fear
        else:
            started = time.monotonic()
            refusal(api.http.post("/api/sandboxes", json={}), (500, 503, 504))
            assert time.monotonic() - started < 5
        finally:
            stranger.close()
        with api.box() as box:
            assert api.output(box, "echo fine") == "fine\n"
    assert leftovers(server) == []


@pytest.mark.parametrize("arguments, word", [
    (("--listen", "nonsense"), "listen"), (("--no-such-flag",), "no-such-flag"), (("--default-memory", "lots"), "default_memory"),
    (("--config", "/nonexistent.toml"), "/nonexistent.toml"),
])  # fmt: skip
def test_a_setting_that_cannot_be_used_ends_the_start_with_its_name(tmp_path, arguments, word):
    with pytest.raises(NotStarted) as refused:
        Server(tmp_path / "d", arguments).start()
    assert refused.value.exit_code == 2
    assert word in refused.value.output.replace("-", "_") or word in refused.value.output


def test_told_to_stop_in_the_moment_it_listens_it_ends_in_order(sandyd):
    server = sandyd()
    for _ in range(20):
        assert server.stop() == 0
        server.start()
