"""POST /api/sandboxes: what each known client sends, and what it reads back."""

import pytest
from contract import check_sandbox
from service import answer, refusal

# Bodies exactly as clients send them.
BODIES = {
    "base": {"priority": 1, "ttl_seconds": 600, "expose_ports": [5173]},
    "pack": {"ttl_seconds": 600, "expose_ports": [], "priority": "NORMAL"},
    "pack_high": {"ttl_seconds": 3600, "expose_ports": [3000, 8080], "priority": "HIGH"},
    "web": {"priority": 1, "preemptable": False, "upstream": "docker-primary"},
    "search": {"priority": 1, "preemptable": False, "flavor": "agent-ready"},
    "bench": {"priority": 3, "preemptable": True},
    "bench_docker": {"priority": 3, "preemptable": True, "enableDockerSocket": True, "upstream": "primary"},
    "gate_router": {"flavor": "agent-ready", "enableVnc": True, "enableBrowser": True},
    "score": {
        "image": "basic", "ports": [8080], "timeout_seconds": 300, "resources": {"cpu": "2", "memory": "4Gi", "gpu": True}
    },
    "extra_fields": {"ttl_seconds": 60, "something": {"nobody": ["knows"]}, "timeoutMinutes": None},
}


@pytest.fixture
def create(api):
    made = []

    def post(body, path="/api/sandboxes"):
        result = answer(api.http.post(path, json=body))
        made.append(result["id"])
        check_sandbox(result)
        return result

    yield post
    for each in made:
        api.terminate(each)


@pytest.mark.parametrize("client", BODIES)
def test_the_body_of_each_client_makes_a_sandbox_that_can_be_used_at_once(api, create, client):
    body = create(BODIES[client])
    assert api.output(body["id"], "echo ready") == "ready\n"


def test_a_request_without_a_body_takes_the_defaults(api):
    for settings in ({}, {"headers": {"Content-Type": "application/json"}}, {"content": b"{}"}):
        body = answer(api.http.post("/api/sandboxes", **settings))
        check_sandbox(body)
        api.terminate(body["id"])
        assert (body["priority"], body["priorityName"], body["preemptable"]) == (2, "NORMAL", False)
        assert body["flavor"] == "basic" and body["expose_ports"] == []
        assert body["ttl_remaining"] > 3 * 3600 - 60


@pytest.mark.parametrize("priority, number, word", [
    (0, 0, "CRITICAL"), (1, 1, "HIGH"), (2, 2, "NORMAL"), (3, 3, "LOW"), ("1", 1, "HIGH"), (3.0, 3, "LOW"),
    ("low", 3, "LOW"), ("High", 1, "HIGH"), ("NORMAL", 2, "NORMAL"), ("critical", 0, "CRITICAL"), (None, 2, "NORMAL"),
])  # fmt: skip
def test_priorities_are_numbers_or_words(create, priority, number, word):
    body = create({"priority": priority})
    assert (body["priority"], body["priorityName"]) == (number, word)


@pytest.mark.parametrize("fields, seconds", [
    ({"ttl_seconds": 120}, 120), ({"ttlSeconds": 120}, 120), ({"timeout_seconds": 120}, 120), ({"timeoutSeconds": 120}, 120),
    ({"timeout": 120}, 120), ({"timeout_minutes": 2}, 120), ({"timeoutMinutes": 2}, 120),
    ({"ttl_seconds": "120"}, 120), ({"ttl_seconds": 120.0}, 120),
    ({"timeout": 500, "timeout_seconds": 400, "ttl_seconds": 120}, 120), ({"timeout_minutes": 9, "timeout": 120}, 120),
    ({"ttl_seconds": None, "timeout": 120}, 120),
])  # fmt: skip
def test_the_lifetime_has_many_spellings_and_the_first_of_the_table_wins(create, fields, seconds):
    body = create(fields)
    assert seconds - 20 < body["ttl_remaining"] <= seconds
    assert body["ttl_seconds"] == seconds


@pytest.mark.parametrize("fields, ports", [
    ({"expose_ports": [3000]}, [3000]), ({"exposePorts": [3000]}, [3000]), ({"ports": [8080]}, [8080]),
    ({"expose_ports": [3000], "ports": [8080, 3000]}, [3000, 8080]), ({"expose_ports": ["3000"]}, [3000]),
])  # fmt: skip
def test_exposed_ports_are_the_union_of_both_fields(create, fields, ports):
    assert sorted(create(fields)["expose_ports"]) == ports


@pytest.mark.parametrize("spelling", ["env", "envVars", "env_vars"])
def test_the_environment_reaches_every_command(api, create, spelling):
    body = create({spelling: {"GREETING": "grüße", "EMPTY": ""}})
    assert api.output(body["id"], 'echo "$GREETING<${EMPTY-unset}>"') == "grüße<>\n"


@pytest.mark.parametrize("resources", [
    {"cpu": 1, "memory_mb": 512, "disk_gb": 1}, {"cpu": "1", "memory": "512Mi"}, {"cpu": 0.5, "memory_mb": "512", "gpu": True}
])  # fmt: skip
def test_resources_are_honoured_in_each_form(api, create, resources):
    body = create({"resources": resources})
    stats = answer(api.http.get("/api/sandboxes/stats", params={"ids": body["id"]}))
    assert stats[0]["memory_limit_bytes"] == 512 * 1024 * 1024


def test_resources_beyond_the_maximum_are_cut_not_refused(api, create):
    body = create({"resources": {"cpu": 999, "memory": "999Gi", "disk_gb": 1_000_000}})
    stats = answer(api.http.get("/api/sandboxes/stats", params={"ids": body["id"]}))
    assert stats[0]["memory_limit_bytes"] == 8 * 1024**3


@pytest.mark.parametrize("spelling", ["working_directory", "workdir"])
def test_the_working_directory_of_commands_can_be_chosen(api, create, spelling):
    body = create({spelling: "/srv"})
    assert api.output(body["id"], "pwd") == "/srv\n"


@pytest.mark.parametrize("fields", [
    {"enableDockerSocket": True}, {"enable_docker_socket": True}, {"enableVnc": True, "image": "vite"},
    {"enableBrowser": True, "image": "basic"},
    {"browserSession": {"type": "inline", "storageState": {"cookies": [], "origins": []}}}, {"flavor": "unheard-of"},
])  # fmt: skip
def test_what_cannot_be_honoured_is_said(create, fields):
    warnings = create(fields)["warnings"]
    assert warnings and all(isinstance(each, str) and each for each in warnings)


def test_ids_are_never_the_same(create):
    assert len({create({"ttl_seconds": 60})["id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("body", [
    {"ttl_seconds": []}, {"ttl_seconds": "soon"}, {"expose_ports": "3000"}, {"expose_ports": [70000]}, {"expose_ports": [{}]},
    {"env": "A=1"}, {"env": ["A=1"]}, {"resources": 7}, {"resources": {"memory": "lots"}}, {"priority": "urgent"},
    {"priority": 9}, {"preemptable": "perhaps"}, {"image": 7}, {"flavor": ["basic"]}, {"working_directory": {}},
])  # fmt: skip
def test_values_that_make_no_sense_are_refused_with_their_name(api, body):
    detail = refusal(api.http.post("/api/sandboxes", json=body), (400, 422))
    assert next(iter(body)) in detail or "memory" in detail


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"7", b"{}{}", b"[" * 100_000, b"\xff\xfe", b'{"a": nul}'],
                         ids=["cut", "array", "text", "number", "two", "deep", "bytes", "nul"])
def test_a_body_that_is_no_json_object_is_refused(api, content):
    refusal(api.http.post("/api/sandboxes", content=content, headers={"Content-Type": "application/json"}), (400, 422))


@pytest.mark.parametrize("image", ["no-such-image", "../basic", "/etc", "a/../../b", ".", "x" * 5000],
                         ids=["unknown", "up", "absolute", "winding", "dot", "long"])
def test_an_unknown_image_is_refused_and_nothing_is_looked_up_outside_the_store(api, image):
    detail = refusal(api.http.post("/api/sandboxes", json={"image": image}), (400, 404, 422))
    assert "/var/" not in detail and "Sandbox not found" not in detail
