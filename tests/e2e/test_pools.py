"""Warm pools of a real server: claims, races, restarts, dead members."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from inside import process_one
from service import Service
from waiting import wait_until

WARM = 3


@pytest.fixture
def pooled(sandyd):
    """A server whose pool is full."""
    server = sandyd("--prewarm-count", WARM, "--end-sandboxes")
    wait_until(lambda: pool(server)["available"] >= WARM, "the pool is full")
    return server


@pytest.fixture
def calls(pooled):
    with Service(pooled.base_url, pooled.api_key) as service:
        yield service


def pool(server) -> dict:
    return server.call("GET", "/api/resources")["warmPool"]["basic"]


def test_a_claim_gets_a_member_with_what_the_caller_asked_for(pooled, calls):
    before = pool(pooled)["hits"]
    made = calls.create(env={"COLOUR": "blue"}, ttl_seconds=123, workdir="/tmp", resources={"memory_mb": 256},
                        expose_ports=[8080])
    assert pool(pooled)["hits"] == before + 1
    assert made["ttl_seconds"] == 123 and made["expose_ports"] == [8080]
    assert made["resources"]["memory_mb"] == 256
    said = calls.output(made["id"], 'echo $COLOUR; pwd; test -n "$SANDY_API_KEY" && echo token')
    assert said.split() == ["blue", "/tmp", "token"]
    stats = calls.http.get("/api/sandboxes/stats").json()
    assert [each["memory_limit_bytes"] for each in stats] == [256 * 1024 * 1024]


def test_a_claimed_sandbox_reaches_the_api_from_inside(calls):
    made = calls.create()
    child = calls.output(made["id"], 'curl -sf -X POST -H "Authorization: Bearer $SANDY_API_KEY" '
                                     '$SANDY_BASE_URL/api/sandboxes | jq -r .parent_sandbox_id || true')
    children = calls.http.get(f"/api/sandboxes/{made['id']}/children").json()
    assert children["total"] == 1, child


def test_members_are_nobodys_and_invisible(pooled, calls):
    assert calls.http.get("/api/sandboxes").json()["total"] == 0
    assert calls.http.get("/api/sandboxes/stats").json() == []
    health = calls.http.get("/api/health").json()
    assert health["sandboxes"] == 0 and health["warmPool"]["basic"]["available"] >= WARM


def test_claims_at_once_get_different_sandboxes(pooled, calls):
    with ThreadPoolExecutor(12) as callers:
        ids = [made["id"] for made in callers.map(lambda _: calls.create(), range(12))]
    assert len(set(ids)) == 12
    wait_until(lambda: pool(pooled)["available"] >= WARM, "the pool is full again")


def test_a_dead_member_is_never_handed_out(pooled, calls):
    boxes = [path.name for path in (pooled.data_dir / "sandboxes").iterdir()]
    assert len(boxes) >= WARM
    for box in boxes:
        process_one(pooled, box).kill()
    for _ in range(WARM + 1):
        assert calls.output(calls.create()["id"], "echo alive") == "alive\n"


def test_members_survive_a_killed_server(pooled):
    boxes = {path.name for path in (pooled.data_dir / "sandboxes").iterdir()}
    pooled.kill()
    pooled.start()
    with Service(pooled.base_url, pooled.api_key) as service:
        made = service.create()
        assert made["id"] in boxes
        assert service.output(made["id"], "echo alive") == "alive\n"
