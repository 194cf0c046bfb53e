"""Output while it comes: exec as a stream, background processes, resuming, standard input, signals."""

import hashlib
import threading
import time

import pytest
from contract import timestamp
from events import check_order, collect, output_of, stream
from service import answer, refusal
from waiting import wait_until


def run(api, box, command, **fields):
    """The events of a streamed command."""
    return collect(api.http, "POST", f"/api/sandboxes/{box}/exec", json={"command": command, "stream": True, **fields})


def processes(box, number="", rest=""):
    return f"/api/sandboxes/{box}/processes" + (f"/{number}" if number != "" else "") + rest


def output(api, box, number, headers=None, **query):
    return collect(api.http, "GET", processes(box, number, "/output"), params=query, headers=headers)


def ended(api, box, number):
    """The description of a background process, once it has ended."""
    path = processes(box, number)
    return wait_until(lambda: (found := answer(api.http.get(path)))["status"] == "exited" and found, "the process ends")


# -- exec as a stream ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{"json": {"command": "echo a; exit 4", "stream": True}},
                                  {"json": {"command": "echo a; exit 4"}, "headers": {"Accept": "text/event-stream"}}])  # fmt: skip
def test_a_stream_is_asked_for_by_field_or_by_header(api, shared_box, form):
    events = collect(api.http, "POST", f"/api/sandboxes/{shared_box}/exec", **form)
    ending = check_order(events)
    assert output_of(events) == b"a\n" and ending["exitCode"] == ending["exit_code"] == 4
    assert ending["timedOut"] is ending["timed_out"] is False and ending["durationMs"] == ending["duration_ms"] >= 0


def test_output_comes_while_the_command_runs_and_in_its_order(api, shared_box):
    command = "for i in 1 2 3 4; do echo out$i; sleep 0.2; echo err$i >&2; sleep 0.2; done"
    arrived = []
    with stream(api.http, "POST", f"/api/sandboxes/{shared_box}/exec", json={"command": command, "stream": True}) as events:
        seen = []
        for each in events:
            seen.append(each)
            arrived.append(time.monotonic())
    check_order(seen)
    assert [(each.name, each.bytes) for each in seen[:-1]] == [
        pair for i in range(1, 5) for pair in (("stdout", b"out%d\n" % i), ("stderr", b"err%d\n" % i))
    ]
    assert arrived[-1] - arrived[0] > 1.0


def test_large_output_is_exact_with_every_offset(api, shared_box):
    api.exec(shared_box, "head -c 30000000 /dev/urandom > /tmp/random")
    events = run(api, shared_box, "cat /tmp/random")
    check_order(events)
    assert hashlib.sha256(output_of(events)).hexdigest() == api.output(shared_box, "sha256sum < /tmp/random").split()[0]


def test_bytes_that_are_no_utf8_come_as_base64(api, shared_box):
    events = run(api, shared_box, "printf 'a\\377\\000b'; sleep 0.2; printf plain")
    check_order(events)
    assert output_of(events) == b"a\xff\x00bplain"
    assert "base64" in events[0].data and "text" in events[-2].data


def test_a_character_written_in_pieces_arrives_whole(api, shared_box):
    command = "printf 'gr\\303'; sleep 0.2; printf '\\274\\303'; sleep 0.2; printf '\\237e \\360\\237'; sleep 0.2; printf '\\230\\200'"
    events = run(api, shared_box, command)
    check_order(events)
    assert output_of(events) == "grüße \U0001f600".encode()
    assert all("text" in each.data for each in events[:-1])


def test_a_character_that_is_never_finished_is_not_lost(api, shared_box):
    events = run(api, shared_box, "printf 'end\\360\\237'; printf '\\303' >&2")
    check_order(events)
    assert output_of(events, "stdout") == b"end\xf0\x9f" and output_of(events, "stderr") == b"\xc3"


@pytest.mark.parametrize("command, fields, code, signal, timed_out", [
    ("exit 0", {}, 0, 0, False), ("kill -KILL $$", {}, 137, 9, False), ("sleep 60", {"timeoutMs": 300}, 124, None, True),
    ("no-such-thing", {}, 127, 0, False), ("sleep 4031 & echo x", {}, 0, 0, False),
])  # fmt: skip
def test_every_ending_is_one_exit_that_is_true(api, shared_box, command, fields, code, signal, timed_out):
    ending = check_order(run(api, shared_box, command, **fields))
    assert (ending["exitCode"], ending["timedOut"]) == (code, timed_out)
    if signal is not None:
        assert (ending["signal"] or 0) == signal


def test_what_cannot_start_is_refused_before_the_stream(api, shared_box):
    body = {"command": "true", "cwd": "/no/such", "stream": True}
    assert "/no/such" in refusal(api.http.post(f"/api/sandboxes/{shared_box}/exec", json=body), (400, 404, 422))


def test_hanging_up_ends_the_command(api, box):
    body = {"command": "echo begun; sleep 4032", "stream": True}
    with stream(api.http, "POST", f"/api/sandboxes/{box}/exec", json=body) as events:
        assert next(events).bytes == b"begun\n"
    wait_until(lambda: api.exec(box, "pgrep -f '[s]leep 4032'")["exitCode"] == 1, "the command ends with its reader")


def test_silence_is_kept_alive(api, shared_box):
    body = {"command": "sleep 11.5; echo end", "stream": True}
    with api.http.stream("POST", f"/api/sandboxes/{shared_box}/exec", json=body) as response:
        text = b"".join(response.iter_raw())
    assert text.startswith(b":")


# -- background processes ------------------------------------------------------------------------------------


def test_a_background_process_is_described_at_once_and_until_after_its_end(api, box):
    started = time.monotonic()
    process = api.start(box, "echo begun; sleep 1; exit 7")
    assert time.monotonic() - started < 1
    assert process["status"] == "running" and "begun" in process["command"]
    timestamp(process["started_at"])
    number = process["process_id"]
    assert answer(api.http.get(processes(box)))["processes"][0]["process_id"] == number
    found = ended(api, box, number)
    assert found["exitCode"] == found["exit_code"] == 7 and found["output_bytes"] == 6


def test_output_can_be_read_again_after_the_end(api, box):
    number = api.start(box, "echo out; echo err >&2; exit 3")["process_id"]
    ended(api, box, number)
    for _ in range(2):
        events = output(api, box, number)
        assert check_order(events)["exitCode"] == 3 and sorted(output_of(events).split()) == [b"err", b"out"]


def test_a_reader_follows_until_the_end(api, box):
    number = api.start(box, "for i in 1 2 3; do echo $i; sleep 0.3; done; exit 5")["process_id"]
    events = output(api, box, number)
    assert check_order(events)["exitCode"] == 5 and output_of(events) == b"1\n2\n3\n"


def test_without_follow_a_reader_gets_what_there_is(api, box):
    number = api.start(box, "echo one; sleep 100")["process_id"]
    wait_until(lambda: answer(api.http.get(processes(box, number)))["output_bytes"] == 4, "it has written")
    started = time.monotonic()
    events = output(api, box, number, follow="false")
    assert time.monotonic() - started < 5 and output_of(events) == b"one\n"
    assert [each.name for each in events] == ["stdout", "running"]


def test_a_broken_stream_resumes_where_it_was(api, box):
    number = api.start(box, "for i in $(seq 1 300); do echo line $i; sleep 0.005; done")["process_id"]
    received, last = b"", None
    while True:
        headers = {} if last is None else {"Last-Event-ID": last}
        finished = False
        with stream(api.http, "GET", processes(box, number, "/output"), headers=headers) as events:
            for count, each in enumerate(events):
                if each.name == "exit":
                    finished = True
                    break
                assert each.data["offset"] == len(received)
                received += each.bytes
                last = each.id
                if count == 5:
                    break  # the connection breaks
        if finished:
            break
    assert received == b"".join(b"line %d\n" % i for i in range(1, 301))


def test_an_offset_begins_in_the_middle(api, box):
    number = api.start(box, "echo 0123456789")["process_id"]
    ended(api, box, number)
    events = output(api, box, number, offset=4)
    check_order(events, 4)
    assert output_of(events) == b"456789\n"
    assert output_of(output(api, box, number, offset=11)) == b""


def test_several_readers_see_the_same(api, box):
    number = api.start(box, "for i in $(seq 50); do echo $i; sleep 0.01; done")["process_id"]
    results = [None] * 4

    def read(index):
        results[index] = output_of(output(api, box, number))

    readers = [threading.Thread(target=read, args=(index,)) for index in range(4)]
    for each in readers:
        each.start()
    for each in readers:
        each.join(30)
    assert results == [b"".join(b"%d\n" % i for i in range(1, 51))] * 4


def test_output_that_the_ring_no_longer_has_is_a_gap_that_is_told(api, box):
    number = api.start(box, "seq 1 2000000; echo end")["process_id"]
    found = ended(api, box, number)
    whole = "".join(f"{i}\n" for i in range(1, 2000001)).encode() + b"end\n"
    assert found["output_bytes"] == len(whole) and found["output_start"] > 0
    events = output(api, box, number)
    check_order(events)
    assert events[0].name == "gap" and (events[0].data["from"], events[0].data["to"]) == (0, found["output_start"])
    kept = output_of(events)
    assert len(kept) == len(whole) - found["output_start"] >= 1 << 20 and whole.endswith(kept)


def test_a_process_is_not_slowed_or_ended_by_readers_that_leave(api, box):
    number = api.start(box, "for i in $(seq 20); do head -c 200000 /dev/zero | tr '\\0' x; sleep 0.02; done; exit 9")["process_id"]
    with stream(api.http, "GET", processes(box, number, "/output")) as events:
        next(events)
    assert ended(api, box, number)["exitCode"] == 9


def test_standard_input_is_fed_and_closed(api, box):
    number = api.start(box, "while read line; do echo got $line; done; echo closed", stdin=True)["process_id"]
    path = processes(box, number, "/stdin")
    answer(api.http.post(path, json={"data": "one\n"}))
    answer(api.http.post(path, json={"data": "dHdvCg==", "encoding": "base64"}))
    answer(api.http.post(path, content=b"three\n", headers={"Content-Type": "application/octet-stream"}))
    answer(api.http.post(path, json={"data": "four\n", "close": True}))
    events = output(api, box, number)
    assert check_order(events)["exitCode"] == 0
    assert output_of(events) == b"got one\ngot two\ngot three\ngot four\nclosed\n"
    refusal(api.http.post(path, json={"data": "late"}), (400, 404, 409))


@pytest.mark.parametrize("signal, number", [("TERM", 15), ("SIGINT", 2), (9, 9), ("usr1", 10)])
def test_a_signal_arrives_and_is_told_truly(api, box, signal, number):
    process = api.start(box, "exec sleep 100")["process_id"]
    answer(api.http.post(processes(box, process, "/signal"), json={"signal": signal}))
    found = ended(api, box, process)
    assert found["exitCode"] == 128 + number and found["signal"] == number


def test_a_signal_can_reach_everything_the_process_started(api, box):
    process = api.start(box, "sleep 4041 & (setsid sleep 4042 &) ; sleep 4043")["process_id"]
    wait_until(lambda: api.output(box, "pgrep -fc '[s]leep 404'") == "3\n", "all of it runs")
    answer(api.http.post(processes(box, process, "/signal"), json={"signal": "KILL", "tree": True}))
    assert ended(api, box, process)["exitCode"] == 137
    wait_until(lambda: api.exec(box, "pgrep -f '[s]leep 404[13]'")["exitCode"] == 1, "all of it ends")


@pytest.mark.parametrize("signal", ["NOPE", 0, -1, 99, None, [], ""])
def test_a_signal_that_does_not_exist_is_refused(api, shared_box, signal):
    process = api.start(shared_box, "exec sleep 100")["process_id"]
    refusal(api.http.post(processes(shared_box, process, "/signal"), json={"signal": signal}), (400, 422))
    answer(api.http.post(processes(shared_box, process, "/signal"), json={"signal": "KILL"}))


def test_an_unknown_process_is_404_and_does_not_look_like_a_lost_sandbox(api, shared_box):
    for method, rest in (("GET", ""), ("GET", "/output"), ("POST", "/stdin"), ("POST", "/signal")):
        for number in ("999999", "0", "-1", "abc", "99999999999999999999"):
            body = None if method == "GET" else {"data": "x", "signal": "TERM"}
            response = api.http.request(method, processes(shared_box, number, rest), json=body)
            detail = refusal(response, (400, 404, 422) if not number.isdigit() else 404)
            assert "sandbox not found" not in detail.lower()


def test_no_zombies_are_left(api, box):
    api.exec(box, "for i in $(seq 50); do (sleep 0.01 & ) ; done; sleep 0.3")
    for _ in range(10):
        api.start(box, "true")
    wait_until(lambda: api.output(box, "ps -eo stat= | grep -c '^Z' || true") == "0\n", "all are reaped")


def test_the_number_of_processes_kept_is_bounded(api, box):
    for _ in range(80):
        response = api.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true", "background": True})
        assert response.status_code in (200, 409, 429, 503), response.text
    assert len(answer(api.http.get(processes(box)))["processes"]) <= 80
