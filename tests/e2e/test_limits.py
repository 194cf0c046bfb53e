"""A tenant over its limits hears so, and when to come back; others do not notice. Administrators change limits at run time."""

import contextlib
import time

import pytest
from service import Service, answer, refusal
from waiting import wait_until

CONFIG = """
[[api_keys]]
tenant = "operations"
key = "operator"
admin = true
[[api_keys]]
tenant = "slow"
key = "slow"
[[api_keys]]
tenant = "narrow"
key = "narrow"
[tenants.slow]
requests_per_second = 1
request_burst = 3
[tenants.narrow]
streams = 1
creations_per_minute = 1
"""


@pytest.fixture
def service(sandyd, tmp_path):
    """Gives the service as the owner of a key sees it."""
    file = tmp_path / "sandy.toml"
    file.write_text(CONFIG)
    server = sandyd("--config", file)
    with contextlib.ExitStack() as open_ones:
        yield lambda key=server.api_key: open_ones.enter_context(Service(server.base_url, key))


def numbers(response) -> tuple:
    return tuple(int(response.headers[f"RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset"))


def test_a_tenant_over_its_rate_is_refused_until_it_waited(service):
    slow = service("slow")
    seen = [slow.http.get("/api/sandboxes") for _ in range(4)]
    assert [each.status_code for each in seen] == [200, 200, 200, 429]
    assert [numbers(each)[:2] for each in seen] == [(3, 2), (3, 1), (3, 0), (3, 0)]
    assert refusal(seen[3], 429) == "Request rate limit exceeded."
    assert seen[3].json()["error"]["code"] == "rate_limited"
    assert service("operator").http.get("/api/sandboxes").status_code == 200
    assert slow.http.get("/api/health").status_code == 200  # asked by everybody, and of nobody's budget

    time.sleep(int(seen[3].headers["Retry-After"]))
    assert slow.http.get("/api/sandboxes").status_code == 200


def test_a_tenant_that_was_given_no_limits_is_told_the_generous_ones(service):
    response = service().http.get("/api/sandboxes")
    assert numbers(response) == (2000, 1999, 1)


def test_a_stream_takes_a_place_and_gives_it_back_when_its_client_is_gone(service):
    narrow = service("narrow")
    with narrow.box() as box:
        with narrow.http.stream("POST", f"/api/sandboxes/{box}/exec", json={"command": "sleep 1000", "stream": True}) as running:
            assert running.status_code == 200
            refused = narrow.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"})
            assert refusal(refused, 429) == "Concurrent command and stream limit exceeded."
            assert int(refused.headers["Retry-After"]) > 0
            assert narrow.get(box).status_code == 200  # what is no stream goes on
        # The client closed the connection without a word; the server notices.
        again = {"url": f"/api/sandboxes/{box}/exec", "json": {"command": "true"}}
        wait_until(lambda: narrow.http.post(**again).status_code == 200, "the place is free again")
        assert narrow.output(box, "echo on") == "on\n"  # one after the other needs one place


def test_creations_have_a_rate(service):
    narrow = service("narrow")
    with narrow.box():
        refused = narrow.http.post("/api/sandboxes", json={})
        assert refusal(refused, 429) == "Sandbox creation rate limit exceeded."
        assert 50 < int(refused.headers["Retry-After"]) <= 60
        assert numbers(refused)[:2] == (1, 0)


def test_refusals_are_counted(service):
    slow = service("slow")
    refused = sum(slow.http.get("/api/sandboxes").status_code == 429 for _ in range(10))
    assert refused > 0
    assert f'sandy_limiter_refusals_total{{kind="requests"}} {refused}' in slow.http.get("/metrics").text


def test_an_administrator_changes_limits_while_the_server_runs(service):
    slow, operator = service("slow"), service("operator")
    while slow.http.get("/api/sandboxes").status_code == 200:
        pass
    before = answer(operator.http.get("/api/admin/limits/slow"))
    assert (before["tenant"], before["requests_per_second"], before["request_burst"]) == ("slow", 1, 3)
    after = answer(operator.http.put("/api/admin/limits/slow", json={"request_burst": 100}))
    assert after == {**before, "request_burst": 100}
    assert answer(operator.http.get("/api/admin/limits/slow")) == after
    response = slow.http.get("/api/sandboxes")
    assert response.status_code == 200
    assert 90 < numbers(response)[1] < 100  # what was used stays used


def test_others_may_neither_read_nor_change_limits(service):
    for key in ("slow", "narrow"):
        tenant = service(key)
        refusal(tenant.http.get(f"/api/admin/limits/{key}"), 403)
        refusal(tenant.http.put(f"/api/admin/limits/{key}", json={"requests_per_second": 0}), 403)
    refusal(service().http.get("/api/admin/limits/default"), 403)  # the key of the setting is no administrator's
    refusal(service(None).http.get("/api/admin/limits/default"), 401)
