"""The gateway asks a second backend when the first says nothing for `hedge_after`: who speaks first is heard, the other is let go."""

import threading
import time

import httpx
import pytest
from scripted_model import ScriptedModel, delta, whole
from test_gateway import CHAT, gateway, lines_of  # noqa: F401 (a fixture)
from test_gateway_faults import STREAM, contents
from test_gateway_sandboxes import boxes_of, chat, client_of, config, containers, idle, metric, text_of
from waiting import wait_until


def hedged(*servers, after="300ms", more=""):
    urls = ", ".join(f'"{each.url}"' for each in servers)
    return f'id = "small"\nurls = [{urls}]\nhedge_after = "{after}"\n{more}'


def say(asked, text):
    """Answers as it was asked to: whole or as a stream."""
    if not asked.json.get("stream"):
        return asked.answer(200, whole(text))
    asked.begin_events()
    asked.event(delta(text))
    asked.event("[DONE]")
    asked.end_events()


def said(response):
    if "event-stream" in response.headers["Content-Type"]:
        return contents(lines_of(response))[0]
    return response.json()["choices"][0]["message"]["content"]


def counted(client, name):
    return metric(client, f'{name}{{model="small"}}')


class Silent(ScriptedModel):
    """Says nothing, or only what `begin` says, and notes who lets it go."""

    def __init__(self, begin=lambda asked: None):
        self.let_go = threading.Semaphore(0)

        def script(asked):
            begin(asked)
            if asked.until_closed():
                self.let_go.release()
            return False

        super().__init__(script)


def turns(client, body):
    """The answers when each backend was asked first once: `urls` are asked in turn."""
    return [client.post("/v1/chat/completions", json=body) for _ in range(2)]


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_the_second_is_asked_after_a_silence_and_the_first_is_let_go(gateway, body):  # noqa: F811
    with Silent() as silent, ScriptedModel(lambda asked: say(asked, "quick")) as quick:
        client = gateway(hedged(silent, quick))
        started = time.monotonic()
        answers = turns(client, body)
        assert [said(each) for each in answers] == ["quick", "quick"]
        assert 0.3 <= time.monotonic() - started < 10
        assert silent.let_go.acquire(timeout=10), "its connection is closed while the chat of the other goes on"
        assert counted(client, "sandy_gateway_hedged_chats_total") == 1
        assert counted(client, "sandy_gateway_hedges_won_total") == 1
        assert counted(client, "sandy_gateway_retries_total") == 0
        assert metric(client, 'sandy_gateway_chats_total{model="small",outcome="answered"}') == 2


def test_a_head_and_comments_are_not_speech(gateway):  # noqa: F811
    def begin(asked):
        asked.begin_events()
        asked.chunk(": thinking\n\n")

    with Silent(begin) as silent, ScriptedModel(lambda asked: say(asked, "quick")) as quick:
        client = gateway(hedged(silent, quick))
        for each in turns(client, STREAM):
            assert said(each) == "quick" and "thinking" not in each.text
        assert silent.let_go.acquire(timeout=10)


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_the_first_may_still_be_the_quicker(gateway, body):  # noqa: F811
    def script(asked):
        time.sleep(0.6)
        return say(asked, "slow")

    with Silent() as silent, ScriptedModel(script) as slow:
        client = gateway(hedged(silent, slow))
        for each in turns(client, body):
            assert said(each) == "slow"
        assert silent.let_go.acquire(timeout=10)
        wait_until(lambda: counted(client, "sandy_gateway_hedged_chats_total") == 2, "both chats were hedged")
        assert counted(client, "sandy_gateway_hedges_won_total") == 1
        assert len(slow.asked) == 2, "nobody is asked twice"


def test_who_speaks_in_time_has_no_company(gateway):  # noqa: F811
    with ScriptedModel(lambda asked: say(asked, "a")) as one, ScriptedModel(lambda asked: say(asked, "b")) as other:
        client = gateway(hedged(one, other))
        for body in (CHAT, STREAM) * 5:
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        assert len(one.asked) == len(other.asked) == 5
        assert counted(client, "sandy_gateway_hedged_chats_total") == 0


def test_nobody_is_asked_any_more_once_something_was_passed_on(gateway):  # noqa: F811
    def script(asked):
        asked.begin_events()
        asked.event(delta("begun"))
        time.sleep(1)
        asked.event(delta("ended"))
        asked.event("[DONE]")
        asked.end_events()

    with ScriptedModel(script) as one, ScriptedModel(script) as other:
        client = gateway(hedged(one, other))
        assert contents(lines_of(client.post("/v1/chat/completions", json=STREAM))) == ["begun", "ended"]
        assert len(one.asked) + len(other.asked) == 1


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_one_that_fails_leaves_the_word_to_the_other(gateway, body):  # noqa: F811
    """Whichever of the two fails, and whenever: the other is waited for, and is asked once."""
    def fails(asked):
        time.sleep(0.6)
        return asked.answer(500, {"detail": "broken"})

    def slow(asked):
        time.sleep(1.2)
        return say(asked, "slow")

    with ScriptedModel(fails) as broken, ScriptedModel(slow) as well:
        client = gateway(hedged(broken, well))
        for _ in range(2):
            assert said(client.post("/v1/chat/completions", json=body)) == "slow"
        assert len(well.asked) == 2 and len(broken.asked) == 2


def test_both_fail_and_the_fallback_is_asked(gateway):  # noqa: F811
    def fails(asked):
        time.sleep(0.5)
        return asked.answer(500, {"detail": "broken"})

    with ScriptedModel(fails) as one, ScriptedModel(fails) as other, ScriptedModel(lambda asked: say(asked, "last")) as last:
        client = gateway(hedged(one, other, more=f'fallback_url = "{last.url}"'))
        assert said(client.post("/v1/chat/completions", json=CHAT)) == "last"
        assert len(one.asked) == len(other.asked) == len(last.asked) == 1


def test_a_refusal_is_an_answer(gateway):  # noqa: F811
    def refuses(asked):
        time.sleep(0.6)
        return asked.answer(400, {"detail": "too long"})

    with Silent() as silent, ScriptedModel(refuses) as strict:
        client = gateway(hedged(silent, strict))
        for each in turns(client, CHAT):
            assert each.status_code == 502 and "too long" in each.json()["detail"]
        assert silent.let_go.acquire(timeout=10)


def test_never_more_than_one_more(gateway):  # noqa: F811
    with Silent() as one, Silent() as other, Silent() as third:
        client = gateway(hedged(one, other, third), flags=("--gateway-first-token-timeout", "2s"))
        assert client.post("/v1/chat/completions", json=STREAM).status_code in (200, 504)
        # Two at a time, then the third alone: a chat is hedged once.
        assert [len(each.asked) for each in (one, other, third)] == [1, 1, 1]
        assert counted(client, "sandy_gateway_hedged_chats_total") == 1
        for each in (one, other, third):
            assert each.let_go.acquire(timeout=10)


def test_silence_is_filled_while_two_are_asked_and_a_client_that_leaves_ends_both(gateway):  # noqa: F811
    with Silent() as one, Silent() as other:
        client = gateway(hedged(one, other))
        with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            assert next(response.iter_lines()) == ": ping"
            assert len(one.asked) == len(other.asked) == 1
        assert one.let_go.acquire(timeout=10) and other.let_go.acquire(timeout=10)
        wait_until(lambda: counted(client, "sandy_gateway_chats_running") == 0, "the chat is over")
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chat/completions", json=CHAT, timeout=1)
        # Whose client has gone may still want a whole answer for 10 s.
        assert one.let_go.acquire(timeout=18) and other.let_go.acquire(timeout=18)


def test_a_server_that_stops_tells_who_waits_for_two(gateway):  # noqa: F811
    with Silent() as one, Silent() as other:
        client = gateway(hedged(one, other), flags=("--shutdown-grace", "1s"))
        lines = []
        with client.stream("POST", "/v1/chat/completions", json=STREAM) as response:
            for line in response.iter_lines():
                if line and not lines:
                    stopping = threading.Thread(target=client.running.stop)
                    stopping.start()
                lines += [line] if line else []
        stopping.join()
        assert contents(lines) == ["The server is stopping."] and lines[-1] == "data: [DONE]"


def test_an_answer_that_breaks_off_is_followed_by_who_lost(gateway):  # noqa: F811
    """Nothing of a whole answer was passed on when it breaks: who was let go for it is asked again."""
    def breaks(asked):
        time.sleep(0.5)
        asked.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        return False

    def second_time(asked):
        if asked.number == 0:
            asked.until_closed()
            return False
        return say(asked, "after all")

    with ScriptedModel(breaks) as broken, ScriptedModel(second_time) as patient:
        client = gateway(hedged(broken, patient))
        assert said(client.post("/v1/chat/completions", json=CHAT)) == "after all"
        assert len(patient.asked) == 2 and len(broken.asked) == 1


@pytest.fixture
def two_containers(sandyd, tmp_path):
    """A model out of two warm containers."""
    text = containers("warm = 2, most = 2, at_once = 2") + 'hedge_after = "300ms"\n'
    running = sandyd("--config", config(tmp_path, text), "--end-sandboxes")
    with client_of(running) as client:
        client.running = running
        yield client


def test_another_container_is_asked_and_the_silent_one_is_not_thought_broken(two_containers):
    client = two_containers
    wait_until(lambda: idle(client) == 2, "both are warm", 60)
    before = boxes_of(client)
    assert text_of(chat(client, "tired", stream=True)) == "spoken"
    # The same container comes first again, and has no more to say.
    assert text_of(chat(client, "tired", stream=True)) == "spoken"
    assert metric(client, 'sandy_gateway_hedged_chats_total{model="mine"}') == 1
    assert metric(client, 'sandy_gateway_hedges_won_total{model="mine"}') == 1
    wait_until(lambda: idle(client) == 2, "all claims were given back", 20)
    assert boxes_of(client) == before
