"""The API from inside a sandbox, and what sandboxes create: it is theirs, it is bounded, and it ends with them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from leftovers import leftovers
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 128, "disk_gb": 0.2}}


class Answer:
    """What curl inside a sandbox printed, with its head."""

    def __init__(self, text: str):
        head, _, body = text.partition("\r\n\r\n")
        lines = head.splitlines()
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        self.json = json.loads(body) if body.startswith(("{", "[")) else body


def inside(api, box, path, body=None, *, key='"$SANDY_API_KEY"', options="") -> Answer:
    """One request from inside a sandbox, with the curl of its image and what its environment says."""
    data = "" if body is None else f"-d '{json.dumps(body)}'"
    credentials = f"-H 'Authorization: Bearer '{key}" if key else ""
    return Answer(api.output(box, f'curl -sS -i --max-time 60 {options} {credentials} {data} "$SANDY_BASE_URL{path}"'))


def child_of(api, box, **body) -> dict:
    made = inside(api, box, "/api/sandboxes", {**SMALL, **body})
    assert made.status == 200, made.json
    return made.json


def token_of(api, box) -> str:
    return api.output(box, 'printf %s "$SANDY_API_KEY"')


def ids(listed) -> set:
    return {each["id"] for each in listed["sandboxes"]}


@pytest.fixture
def family(api):
    """The API, and a sandbox that takes its descendants with it."""
    with api.box(**SMALL) as box:
        yield api, box


def test_every_sandbox_finds_the_api_and_knows_itself(family):
    api, box = family
    assert api.output(box, 'echo "$SANDY_BASE_URL $SANDY_SANDBOX_ID"') == f"http://127.0.0.1:7330 {box}\n"
    health = inside(api, box, "/api/health", key=None)
    assert health.status == 200 and health.json["status"] == "ok"
    assert inside(api, box, f"/api/sandboxes/{box}").json["id"] == box
    assert ids(inside(api, box, "/api/sandboxes").json) == {box}
    assert inside(api, box, f"/api/sandboxes/{box}/exec", {"command": "echo me"}).json["stdout"] == "me\n"


def test_without_its_token_a_sandbox_is_nobody(family):
    api, box = family
    for key in (None, "wrong", "sandy-sb.x.y.z"):
        assert inside(api, box, "/api/sandboxes", key=key).status == 401
        assert inside(api, box, "/api/sandboxes", SMALL, key=key).status == 401


def test_the_machine_is_none_of_a_sandboxs_business(family, server):
    api, box = family
    for path in ("/metrics", "/api/resources", "/api/metrics/timeseries"):
        assert inside(api, box, path).status == 403
    assert inside(api, box, "/metrics", key=None).status == 403
    assert "sandboxes" not in inside(api, box, "/api/health").json
    with Service(server.base_url, token_of(api, box)) as outside:
        for path in ("/metrics", "/api/resources", "/api/metrics/timeseries"):
            refusal(outside.http.get(path), 403)
    assert api.http.get("/metrics").status_code == 200


def test_what_a_sandbox_creates_is_its_child_and_all_it_reaches(family, server):
    api, box = family
    child = child_of(api, box)
    assert child["parent_sandbox_id"] == child["parentSandboxId"] == box
    grandchild = child_of(api, child["id"])
    assert grandchild["parent_sandbox_id"] == child["id"]
    assert answer(api.get(box))["parent_sandbox_id"] is None
    assert answer(api.get(child["id"]))["parent_sandbox_id"] == box
    assert ids(answer(api.http.get(f"/api/sandboxes/{box}/children"))) == {child["id"]}
    assert ids(answer(api.http.get(f"/sandboxes/{child['id']}/children"))) == {grandchild["id"]}

    with api.box(**SMALL) as stranger, Service(server.base_url, token_of(api, box)) as parent:
        everywhere = {box, child["id"], grandchild["id"]}
        assert ids(inside(api, box, "/api/sandboxes").json) == everywhere
        assert ids(answer(parent.http.get("/api/sandboxes"))) == everywhere  # the token works from outside as well
        assert ids(inside(api, child["id"], "/api/sandboxes").json) == everywhere - {box}
        assert parent.output(grandchild["id"], "echo yes") == "yes\n"
        for target, path in ((stranger, ""), (stranger, "/children"), (stranger, "/logs")):
            assert refusal(parent.http.get(f"/api/sandboxes/{target}{path}"), 404) == "Sandbox not found"
        assert parent.terminate(stranger).status_code == 404
        assert inside(api, stranger, f"/api/sandboxes/{box}").status == 404
        assert inside(api, child["id"], f"/api/sandboxes/{box}").status == 404  # not upwards either
        assert parent.http.post("/api/sandboxes", json={"parent_sandbox_id": stranger}).status_code == 404
        # A parent creates for its child, and ends it.
        made = answer(parent.http.post("/api/sandboxes", json={**SMALL, "parentSandboxId": child["id"]}))
        assert made["parent_sandbox_id"] == child["id"]
        answer(parent.terminate(child["id"]))
        assert ids(answer(parent.http.get("/api/sandboxes"))) == {box}


def test_an_owner_names_a_parent(family):
    api, box = family
    assert api.create(**SMALL, parent_sandbox_id=box)["parent_sandbox_id"] == box
    by_header = api.http.post("/api/sandboxes", json=SMALL, headers={"X-Sandy-Parent": box})
    assert answer(by_header)["parent_sandbox_id"] == box
    for unknown in ("0" * 24, "nonsense", "../" + box):
        refused = api.http.post("/api/sandboxes", json={"parent_sandbox_id": unknown})
        assert refusal(refused, 404) == "Sandbox not found"


def test_a_childs_limits_and_lifetime_are_bounded(family):
    api, box = family
    long = child_of(api, box, ttl_seconds=7200, resources={"memory_mb": 4096, "cpu": 64}, priority=0)
    assert long["ttl_seconds"] == 3600 and long["ttl_remaining"] <= 3600
    assert any("lifetime" in each for each in long["warnings"])
    parent = answer(api.get(box))
    assert long["resources"]["memory_bytes"] == parent["resources"]["memory_bytes"]
    assert long["resources"]["cpu"] == parent["resources"]["cpu"]
    assert long["priority"] == parent["priority"]
    renewed = answer(api.http.post(f"/api/sandboxes/{long['id']}/refresh", json={"ttl_seconds": 7200}))
    assert renewed["ttl_remaining"] <= 3600
    assert child_of(api, box)["ttl_seconds"] == 600


def test_a_burst_of_creations_from_inside_stops_at_five(family):
    api, box = family
    one = """curl -s -o /dev/null -D - -w '' -H "Authorization: Bearer $SANDY_API_KEY" -d '{}' $SANDY_BASE_URL/api/sandboxes"""
    heads = api.output(box, f"for i in $(seq 30); do ({one}; echo) & done; wait").lower()
    assert heads.count("http/1.1 200") == 5
    assert heads.count("http/1.1 429") == 25
    assert heads.count("retry-after:") == 25
    refused = inside(api, box, "/api/sandboxes", SMALL)
    assert refused.status == 429 and refused.json["detail"] == "Active sandbox limit exceeded."
    assert int(refused.headers["retry-after"]) >= 1
    assert len(ids(answer(api.http.get(f"/api/sandboxes/{box}/children")))) == 5
    # From outside it is the same limit.
    refused = api.http.post("/api/sandboxes", json={"parent_sandbox_id": box})
    assert refusal(refused, 429) == "Active sandbox limit exceeded." and int(refused.headers["Retry-After"]) >= 1


def test_ten_creations_an_hour_are_the_most_however_short_they_live(family):
    api, box = family
    for _ in range(10):
        answer(api.terminate(child_of(api, box)["id"]))
    refused = inside(api, box, "/api/sandboxes", SMALL)
    assert refused.status == 429 and refused.json["detail"] == "Sandbox creation rate limit exceeded."
    assert 1 <= int(refused.headers["retry-after"]) <= 3600


def test_generations_are_bounded(family):
    api, box = family
    last = box
    for _ in range(3):
        last = child_of(api, last)["id"]
    assert inside(api, last, "/api/sandboxes", SMALL).status == 429


def test_a_callers_own_key_is_passed_through_and_its_children_are_the_sandboxs(api, server):
    with api.box(**SMALL, env={"SANDY_API_KEY": server.api_key}) as box:
        assert token_of(api, box) == server.api_key
        assert api.output(box, "echo $SANDY_SANDBOX_ID") == f"{box}\n"
        child = child_of(api, box)
        assert child["parent_sandbox_id"] == box
        assert box in ids(inside(api, box, "/api/sandboxes").json)
    assert api.get(child["id"]).status_code == 404  # ended with it
    with api.box(**SMALL, env={"SANDY_API_KEY": "my own", "SANDY_BASE_URL": "http://elsewhere"}) as box:
        assert api.output(box, 'echo "$SANDY_API_KEY at $SANDY_BASE_URL"') == "my own at http://elsewhere\n"


def test_a_key_of_another_tenant_creates_sandboxes_of_that_tenant(sandyd, tmp_path):
    file = tmp_path / "sandy.toml"
    file.write_text('[[api_keys]]\ntenant = "other"\nkey = "other-key"\n')
    server = sandyd("--config", file)
    with Service(server.base_url, server.api_key) as api, Service(server.base_url, "other-key") as other:
        box = api.create(**SMALL, env={"SANDY_API_KEY": "other-key"})["id"]
        made = child_of(api, box)
        assert made["parent_sandbox_id"] is None
        assert api.get(made["id"]).status_code == 404
        assert ids(answer(other.http.get("/api/sandboxes"))) == {made["id"]}
        assert inside(api, box, "/api/sandboxes", {"parent_sandbox_id": box}).status == 404
        answer(other.terminate(made["id"]))


def test_the_end_of_a_parent_ends_its_descendants_and_its_token(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(**SMALL)["id"]
        token = token_of(api, box)
        child = child_of(api, box)["id"]
        descendants = [child, child_of(api, box)["id"], child_of(api, child)["id"]]
        answer(api.terminate(box))
        assert [api.get(each).status_code for each in descendants] == [404, 404, 404]
        assert ids(answer(api.http.get("/api/sandboxes"))) == set()
        with Service(server.base_url, token) as dead:
            refusal(dead.http.post("/api/sandboxes", json=SMALL), 401)
            refusal(dead.http.get(f"/api/sandboxes/{box}"), 404)
            assert ids(answer(dead.http.get("/api/sandboxes"))) == set()
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_a_parent_that_expires_takes_its_child_along(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(**SMALL, ttl_seconds=4)["id"]
        child = child_of(api, box, ttl_seconds=600)["id"]
        for each in (child, box):
            wait_until(lambda: api.get(each).status_code == 404, "it is gone", 20)
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_connections_from_inside_do_not_hold_a_sandbox_that_ends(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(**SMALL)["id"]
        stream = json.dumps({"command": "while sleep 0.05; do echo tick; done", "stream": True})
        api.start(box, f"""curl -sN -H "Authorization: Bearer $SANDY_API_KEY" -d '{stream}' $SANDY_BASE_URL/api/sandboxes/{box}/exec > out""")
        # It runs before the others come, which take all places that are left.
        wait_until(lambda: "tick" in api.output(box, "cat out || true"), "the stream runs")
        api.start(box, "exec 3<>/dev/tcp/127.0.0.1/7330; sleep 1000")
        api.start(box, "for i in $(seq 80); do (exec 3<>/dev/tcp/127.0.0.1/7330; sleep 1000) & done; touch all; wait")
        wait_until(lambda: api.exec(box, "test -e all")["exitCode"] == 0, "the others connect")
        assert any("socket" in each for each in leftovers(server))
        began = time.monotonic()
        answer(api.terminate(box))
        assert time.monotonic() - began < 10
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_a_sandbox_that_uses_all_its_connections_takes_none_from_others(sandyd):
    server = sandyd("--max-connections", 8)
    with Service(server.base_url, server.api_key) as api:
        box, neighbour = api.create(**SMALL)["id"], api.create(**SMALL)["id"]
        api.start(box, "for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/7330; sleep 1000) & done; touch all; wait")
        wait_until(lambda: api.exec(box, "test -e all")["exitCode"] == 0, "all connect")
        assert inside(api, neighbour, "/api/health").status == 200
        assert api.output(box, "echo fine") == "fine\n"


def test_a_killed_server_forgets_no_parent_and_serves_inside_again(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(**SMALL)["id"]
        child = child_of(api, box)["id"]
        grandchild = child_of(api, child)["id"]
        # Asks for its child all the time. Whatever it hears while the server is away, it is never that there is no such child.
        api.start(box, f"""while :; do curl -s -o /dev/null -w '%{{http_code}}\\n' -H "Authorization: Bearer $SANDY_API_KEY" \\
            $SANDY_BASE_URL/api/sandboxes/{child} >> heard; done""")
        wait_until(lambda: "200" in api.output(box, "cat heard; true"), "it asks")
    for _ in range(3):
        server.kill()
        server.start()
        with Service(server.base_url, server.api_key) as api:
            assert answer(api.get(child))["parent_sandbox_id"] == box
            assert ids(answer(api.http.get(f"/api/sandboxes/{child}/children"))) == {grandchild}
            assert ids(inside(api, box, "/api/sandboxes").json) == {box, child, grandchild}
            api.output(box, ": > mark")
            wait_until(lambda: api.exec(box, "test heard -nt mark")["exitCode"] == 0, "it is answered again")
    with Service(server.base_url, server.api_key) as api:
        assert set(api.output(box, "cat heard").split()) <= {"200", "000"}
        for _ in range(4):
            child_of(api, box)
        assert inside(api, box, "/api/sandboxes", SMALL).status == 429  # five with the one from before
        answer(api.terminate(box))
        assert [api.get(each).status_code for each in (child, grandchild)] == [404, 404]
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_children_being_created_end_with_their_parent(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(4) as pool:
        for moment in range(8):
            box = api.create(**SMALL)["id"]
            api.start(box, """for i in 1 2 3 4 5; do curl -s -H "Authorization: Bearer $SANDY_API_KEY" -d '{}' \\
                $SANDY_BASE_URL/api/sandboxes & done; wait""")
            from_outside = pool.submit(api.http.post, "/api/sandboxes", json={**SMALL, "parent_sandbox_id": box})
            time.sleep(0.01 * moment)  # another phase of the creations each time
            answer(api.terminate(box))
            assert from_outside.result(60).status_code in (200, 404, 429, 502)
            wait_until(lambda: ids(answer(api.http.get("/api/sandboxes"))) == set(), "no child is left", 20)
        wait_until(lambda: leftovers(server) == [], "nothing is left", 20)


def test_the_python_client_works_inside(family):
    api, box = family
    script = (
        "import asyncio\nfrom lib.sandy_client import SandyClient\n"
        "async def main():\n    client = SandyClient()\n    made = await client.create_sandbox(ttl_seconds=60)\n"
        "    print(made.id, (await client.exec_command(made.id, 'echo from the child'))[0])\n    await client.terminate(made.id)\n"
        "asyncio.run(main())\n"
    )
    api.write(box, "agent.py", script)
    found = api.exec(box, "python3 agent.py")
    assert found["exitCode"] == 0, found
    assert "from the child" in found["stdout"]


def test_a_server_that_stops_tells_clients_inside(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        box = api.create(**SMALL)["id"]
        api.start(box, "exec 3<>/dev/tcp/127.0.0.1/7330; cat <&3; touch closed")
    assert server.stop() == 0
    server.start()
    with Service(server.base_url, server.api_key) as api:
        wait_until(lambda: api.exec(box, "test -e closed")["exitCode"] == 0, "its connection was closed")
        assert inside(api, box, "/api/health").status == 200
