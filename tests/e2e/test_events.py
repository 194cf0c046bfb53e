"""GET /api/events: the life of sandboxes as it happens, resumed after a disconnect, a restart and a crash."""

import json

import pytest
from events import collect, stream
from service import Service, answer, refusal
from waiting import wait_until

LIFE = ["sandbox.created", "sandbox.renewed", "sandbox.ending", "sandbox.ended"]


@pytest.fixture
def own(sandyd):
    """A server of the test's own with its client."""
    running = sandyd()
    with Service(running.base_url, running.api_key) as service:
        yield running, service


def page(service, **query) -> dict:
    return answer(service.http.get("/api/events", params=query, headers={"Accept": "application/json"}))


def test_a_life_is_told_while_it_happens(api):
    with stream(api.http, "GET", "/api/events", params={"after": "latest"}) as told:
        # The server has answered, so what happens from here on is told.
        box = api.create(ttl_seconds=600)["id"]
        answer(api.http.post(f"/api/sandboxes/{box}/refresh", json={"ttl_seconds": 300}))
        answer(api.terminate(box))
        seen = []
        for event in told:
            if event.data["sandbox_id"] == box:
                seen.append(event)
            if seen and seen[-1].name == "sandbox.ended":
                break
    assert [event.name for event in seen] == LIFE
    assert [event.data["type"] for event in seen] == LIFE
    assert [event.id for event in seen] == [str(event.data["sequence"]) for event in seen]
    numbers = [event.data["sequence"] for event in seen]
    assert numbers == sorted(set(numbers))
    assert [event.data["reason"] for event in seen] == [None, None, "terminated", "terminated"]


def test_filters_and_the_json_form(api):
    with api.box() as first, api.box() as second:
        wait_until(lambda: page(api, sandbox_id=first)["events"], "the event is stored")
        events = collect(api.http, "GET", "/api/events", params={"follow": "false", "sandbox_id": first})
        assert [event.name for event in events] == ["sandbox.created"]
    wait_until(lambda: page(api, sandbox_id=second, types="sandbox.ended")["events"], "the last event is stored")
    assert [event["type"] for event in page(api, sandbox_id=second)["events"]] == ["sandbox.created", "sandbox.ending", "sandbox.ended"]
    ended = page(api, types="sandbox.ended,sandbox.failed", sandbox_id=second)
    assert [event["type"] for event in ended["events"]] == ["sandbox.ended"]
    assert ended["gap"] is None
    assert page(api, after=ended["next"], sandbox_id=second)["events"] == []
    refusal(api.http.get("/api/events", params={"types": "sandbox.exploded"}), 400)


def test_a_tenant_sees_nothing_of_another(sandyd, tmp_path):
    config = tmp_path / "sandy.toml"
    config.write_text('[[api_keys]]\ntenant = "other"\nkey = "sk-another-tenants-key"\n')
    running = sandyd("--config", config)
    with Service(running.base_url, running.api_key) as mine, Service(running.base_url, "sk-another-tenants-key") as other:
        with mine.box() as box:
            wait_until(lambda: page(mine)["events"], "the event is stored")
            assert page(other)["events"] == []
            assert page(other, sandbox_id=box)["events"] == []
            assert [event["sandbox_id"] for event in page(mine)["events"]] == [box]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_reader_resumes_after_a_restart_and_misses_nothing(own, end):
    running, service = own
    box = service.create(ttl_seconds=600)["id"]
    wait_until(lambda: page(service)["events"], "the event is stored")
    (created,) = collect(service.http, "GET", "/api/events", params={"follow": "false"})
    answer(service.http.post(f"/api/sandboxes/{box}/refresh", json={}))
    wait_until(lambda: len(page(service)["events"]) == 2, "two events")
    getattr(running, end)()
    running.start()
    with Service(running.base_url, running.api_key) as again:
        answer(again.terminate(box))
        wait_until(lambda: len(page(again)["events"]) == 4, "four events")
        rest = collect(again.http, "GET", "/api/events", params={"follow": "false"}, headers={"Last-Event-ID": created.id})
    assert [event.name for event in rest] == LIFE[1:]
    numbers = [int(event.id) for event in [created, *rest]]
    assert numbers == sorted(set(numbers))


def test_a_stream_ends_when_the_server_is_told_to_stop(own):
    running, service = own
    with stream(service.http, "GET", "/api/events") as told:
        assert running.stop() == 0
        assert list(told) == []  # ended, not cut, and not only after the grace of running requests


def test_a_sandbox_sees_itself_and_its_children_only(api):
    with api.box() as box, api.box() as stranger:
        script = 'curl -s "$SANDY_BASE_URL/api/events?%s" -H "Authorization: Bearer $SANDY_API_KEY" -H "Accept: application/json"'
        child = answer(api.http.post("/api/sandboxes", json={"parent_sandbox_id": box, "ttl_seconds": 60}))["id"]
        seen = json.loads(api.output(box, script % ""))["events"]
        assert {event["sandbox_id"] for event in seen} == {box, child}
        assert json.loads(api.output(box, script % f"sandbox_id={stranger}"))["events"] == []
