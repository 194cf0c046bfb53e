"""GET /openapi.json is true: every operation answers what it declares, to sensible requests and to random ones."""

import io
import tarfile
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from service import answer

MODEL = (Path(__file__).parent / "model_container.py").read_text()
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
# Some answer until their client leaves, and a tool that reads to the end would wait; the others are the same routes again.
NOT_AT_RANDOM = "/watch$|^/api/events$|^/sandboxes"


@pytest.fixture(scope="module")
def document(api):
    return answer(api.http.get("/openapi.json"))


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def check_declared(document, operation, response) -> None:
    """The answer's status, content type and body are among those declared."""
    declared = {str(status): resolve(document, each) for status, each in operation["responses"].items()}
    where = f"{response.request.method} {response.request.url.path} -> {response.status_code}"
    status = str(response.status_code)
    found = declared.get(status) or declared.get(status[0] + "XX") or declared.get("default")
    assert found is not None, f"{where} is not among {sorted(declared)}: {response.text[:300]}"
    content = found.get("content", {})
    if not content or response.request.method == "HEAD":
        return
    kind = response.headers["Content-Type"].split(";")[0]
    assert kind in content, f"{where}: {kind} is not among {sorted(content)}"
    if kind == "application/json" and "schema" in content[kind]:
        schema = {**content[kind]["schema"], "components": document.get("components", {})}
        Draft202012Validator(schema).validate(response.json())


def test_it_is_openapi_3_1_and_well_formed(document):
    assert document["openapi"].startswith("3.1.")
    names = [operation.get("operationId") for _, _, operation in operations(document)]
    assert all(names) and len(set(names)) == len(names)
    for schema in document.get("components", {}).get("schemas", {}).values():
        Draft202012Validator.check_schema(schema)
    for _, path, operation in operations(document):
        parameters = [resolve(document, each) for each in operation.get("parameters", [])]
        parameters += [resolve(document, each) for each in document["paths"][path].get("parameters", [])]
        assert {each["name"] for each in parameters if each["in"] == "path"} == {part[1:-1] for part in path.split("/") if part[:1] == "{"}


def archive() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as packed:
        packed.addfile(tarfile.TarInfo("empty"))
    return made.getvalue()


# One request that makes sense for every operation, in an order that works.
REQUESTS = [
    ("get", "/", {}), ("get", "/health", {}), ("get", "/api/health", {}), ("get", "/metrics", {}), ("get", "/openapi.json", {}),
    ("get", "/api/resources", {}), ("get", "/api/metrics/timeseries", {"params": {"hours": 1}}),
    ("get", "/api/events", {"params": {"follow": "false"}}),
    ("get", "/api/events", {"params": {"limit": 2}, "headers": {"Accept": "application/json"}}),
    ("get", "/api/sandboxes", {}), ("get", "/api/sandboxes/stats", {}), ("get", "/api/sandboxes/{id}", {}),
    ("post", "/api/sandboxes/{id}/refresh", {"json": {"ttl_seconds": 600}}), ("get", "/api/sandboxes/{id}/logs", {}),
    ("post", "/api/sandboxes/{id}/pause", {}), ("post", "/api/sandboxes/{id}/resume", {}),
    ("get", "/api/sandboxes/{id}/children", {}), ("post", "/api/sandboxes/{id}/fork", {"json": {"ttl_seconds": 60}}),
    ("post", "/api/sandboxes/{id}/snapshot", {"json": {"name": "declared"}}), ("get", "/api/images", {}),
    ("get", "/api/images/{name}", {}), ("delete", "/api/images/{name}", {}),
    ("post", "/api/sandboxes/{id}/connect", {"json": {"target": "{target}"}}), ("get", "/api/sandboxes/{id}/connections", {}),
    ("get", "/api/sandboxes/{id}/usage", {}),
    ("get", "/api/sandboxes/{id}/network", {}), ("put", "/api/sandboxes/{id}/network", {"json": {"mode": "internet", "deny": ["example.com"]}}),
    ("delete", "/api/sandboxes/{id}/connect/{target}", {}), ("post", "/api/sandboxes/{id}/disconnect", {"json": {"target": "{target}"}}),
    ("get", "/api/sandboxes/{id}/vnc", {}), ("post", "/api/sandboxes/{id}/preview", {"json": {"port": 3000}}),
    ("post", "/api/sandboxes/{id}/exec", {"json": {"command": "echo hi"}}),
    ("post", "/api/sandboxes/{id}/exec", {"json": {"command": "echo hi", "stream": True}}),
    ("post", "/api/sandboxes/{id}/agent/run", {"json": {"agent": "codex", "model": "m", "prompt": "p"}}),
    ("post", "/api/sandboxes/{id}/agent/run", {"json": {"agent": "codex", "model": "m", "prompt": "p", "stream": False}}),
    ("post", "/api/sandboxes/{id}/agent/cancel", {}), ("get", "/api/sandboxes/{id}/agent/status", {}), ("get", "/api/sandboxes/{id}/agent/runs", {}),
    ("get", "/api/agents", {}), ("get", "/v1/models", {}),
    ("post", "/api/sandboxes/{id}/container/run", {"json": {"image": "basic", "command": ["python3", "-c", MODEL]}}),
    ("get", "/api/sandboxes/{id}/container", {}), ("get", "/api/sandboxes/{id}/container/{cid}", {}),
    ("get", "/api/sandboxes/{id}/container/{cid}/health", {}), ("get", "/api/sandboxes/{id}/container/{cid}/v1/models", {}),
    ("get", "/api/sandboxes/{id}/container/{cid}/logs", {"params": {"tail": 1}}),
    ("post", "/api/sandboxes/{id}/container/{cid}/chat", {"json": {"messages": [{"role": "user", "content": "hi"}]}}),
    ("post", "/api/sandboxes/{id}/container/{cid}/chat", {"json": {"messages": [{"role": "user", "content": "hi"}], "stream": True}}),
    ("post", "/api/sandboxes/{id}/container/{cid}/stop", {}), ("delete", "/api/sandboxes/{id}/container/{cid}", {}),
    ("get", "/api/sandboxes/{id}/processes", {}), ("get", "/api/sandboxes/{id}/processes/{pid}", {}),
    ("get", "/api/sandboxes/{id}/processes/{pid}/output", {"params": {"follow": "false"}}),
    ("post", "/api/sandboxes/{id}/processes/{pid}/stdin", {"json": {"data": "a\n"}}),
    ("post", "/api/sandboxes/{id}/processes/{pid}/signal", {"json": {"signal": "TERM"}}),
    ("post", "/api/sandboxes/{id}/files/write", {"json": {"path": "a", "content": "b"}}),
    ("get", "/api/sandboxes/{id}/files/read", {"params": {"path": "a"}}), ("get", "/api/sandboxes/{id}/files/list", {}),
    ("put", "/api/sandboxes/{id}/files", {"params": {"path": "c"}, "content": b"d"}),
    ("get", "/api/sandboxes/{id}/files", {"params": {"path": "c"}}), ("head", "/api/sandboxes/{id}/files", {"params": {"path": "c"}}),
    ("get", "/api/sandboxes/{id}/files/stat", {"params": {"path": "c"}}),
    ("post", "/api/sandboxes/{id}/files/mkdir", {"json": {"path": "e/f"}}),
    ("post", "/api/sandboxes/{id}/files/move", {"json": {"from": "c", "to": "e/c"}}),
    ("get", "/api/sandboxes/{id}/files/archive", {"params": {"path": "e"}}),
    ("post", "/api/sandboxes/{id}/files/archive", {"params": {"path": "g"}, "content": archive(), "headers": {"Content-Type": "application/x-tar"}}),
    ("delete", "/api/sandboxes/{id}/files", {"params": {"path": "e", "recursive": "true"}}),
    ("post", "/api/sandboxes/{id}/terminate", {}), ("delete", "/api/sandboxes/{id}", {}),
]  # fmt: skip


def test_every_operation_answers_as_declared(api, document):
    created = api.http.post("/api/sandboxes", json={"ttl_seconds": 600})
    check_declared(document, document["paths"]["/api/sandboxes"]["post"], created)
    box = created.json()["id"]
    process = api.start(box, "cat; sleep 100", stdin=True)["process_id"]
    asked = {("post", "/api/sandboxes")}
    neighbour = api.create(ttl_seconds=600)["id"]
    container = None
    for method, path, settings in REQUESTS:
        if settings.get("json", {}).get("target"):
            settings = {"json": {"target": neighbour}}
        response = api.http.request(method.upper(), path.format(id=box, pid=process, cid=container, target=neighbour, name="declared"), **settings)
        assert response.status_code == 200, (method, path, response.text[:300])
        if (method, path) != ("head", "/api/sandboxes/{id}/files"):
            check_declared(document, document["paths"][path][method], response)
        asked.add((method, path))
        if path.endswith("/container/run"):
            container = response.json()["id"]
        if path.endswith("/fork"):
            api.terminate(response.json()["sandboxes"][0]["id"])
    api.terminate(neighbour)
    with api.box() as other, api.http.stream("GET", f"/api/sandboxes/{other}/files/watch", params={"path": "/workspace"}) as response:
        watch = document["paths"]["/api/sandboxes/{id}/files/watch"]["get"]
        assert response.headers["Content-Type"].split(";")[0] in resolve(document, watch["responses"]["200"])["content"]
        asked.add(("get", "/api/sandboxes/{id}/files/watch"))
    with api.box() as other:  # a plain request; what a WebSocket gets is looked at with the terminals
        response = api.http.get(f"/api/sandboxes/{other}/terminal")
        assert response.status_code == 426 and response.headers["Upgrade"] == "websocket"
        check_declared(document, document["paths"]["/api/sandboxes/{id}/terminal"]["get"], response)
        asked.add(("get", "/api/sandboxes/{id}/terminal"))
    # For administrators, which the tests' key is not; what those are answered is looked at with the limits.
    for method in ("get", "put"):
        response = api.http.request(method.upper(), "/api/admin/limits/default", json={})
        assert response.status_code == 403
        check_declared(document, document["paths"]["/api/admin/limits/{tenant}"][method], response)
        asked.add((method, "/api/admin/limits/{tenant}"))
    for method, path in [("get", "/api/cluster")] + [("post", f"/api/cluster/nodes/{{node}}/{what}") for what in ("cordon", "uncordon", "drain")]:
        response = api.http.request(method.upper(), path.replace("{node}", "nobody"))
        assert response.status_code == 403
        check_declared(document, document["paths"][path][method], response)
        asked.add((method, path))
    response = api.http.post("/api/images", json={"name": "declared", "path": "/nowhere"})
    assert response.status_code == 403
    check_declared(document, document["paths"]["/api/images"]["post"], response)
    asked.add(("post", "/api/images"))
    # The session's server has no models; what those say is looked at with the gateway.
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for path, body in [("/v1/messages", chat), ("/v1/responses", {"model": "m", "input": "hi"})]:
        for sent, status in [(body, 404), ({}, 400)]:
            response = api.http.post(path, json=sent)
            assert response.status_code == status, (path, response.text)
            check_declared(document, document["paths"][path]["post"], response)
        asked.add(("post", path))
    for method, path, body, status in [("post", "/v1/chat/completions", chat, 404), ("post", "/v1/chat/completions", {}, 422),
                                       ("post", "/v1/chat/completions/arena", chat, 400), ("get", "/v1/models/m", None, 404),
                                       ("post", "/api/arena/vote", {"prompt_id": "arena-0", "winner": "A"}, 404),
                                       ("get", "/v1/artifacts/artf_0123456789ab", None, 404)]:
        response = api.http.request(method.upper(), path, json=body)
        assert response.status_code == status, (path, response.text)
        template = {"/v1/models/m": "/v1/models/{model}", "/v1/artifacts/artf_0123456789ab": "/v1/artifacts/{artifact}"}.get(path, path)
        check_declared(document, document["paths"][template][method], response)
        asked.add((method, template))
    described = {(method, path) for method, path, _ in operations(document) if path.startswith("/api/sandboxes") or not path.startswith("/sandboxes")}
    assert described - asked == set(), "described, but not asked here"
    assert asked - described - {("head", "/api/sandboxes/{id}/files")} == set(), "answers, but is not described"


def test_errors_are_declared(api, document):
    for method, path, operation in operations(document):
        if "{id}" in path:
            response = api.http.request(method.upper(), path.format(id="0123456789abcdef", pid=1, cid="ct-0", target="0123456789abcdef"), json=None if method == "get" else {})
            # Whichever is looked at first: the sandbox or the request's fields.
            assert response.status_code in (400, 404, 422), (method, path, response.text[:200])
            check_declared(document, operation, response)


@pytest.fixture
def schema(server):
    """The document as the testing tool reads it."""
    loaded = schemathesis.openapi.from_url(f"{server.base_url}/openapi.json")
    loaded.config.phases.coverage.enabled = False  # combinations of every field's odd values: minutes, not seconds
    return loaded


@pytest.fixture(scope="module")
def target(api):
    """Gives the id of a sandbox that lives, also after requests that ended the one before."""
    made = []

    def living() -> str:
        if not made or api.get(made[-1]).status_code != 200:
            made.append(api.create(ttl_seconds=600, resources={"memory_mb": 256, "disk_gb": 0.2})["id"])
        return made[-1]

    yield living
    for each in made:
        api.terminate(each)


tool = schemathesis.pytest.from_fixture("schema").exclude(path_regex=NOT_AT_RANDOM)


@tool.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck), database=None)  # fmt: skip
def test_random_requests_never_break_the_server_and_answers_are_as_declared(case, server, api, target):
    if "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = target()
    response = case.call(headers={"Authorization": f"Bearer {server.api_key}"}, timeout=30)
    if case.path == "/api/sandboxes" and case.method == "POST" and response.status_code == 200:
        api.terminate(response.json()["id"])
    if case.path.endswith("/fork") and response.status_code == 200:
        for each in response.json()["sandboxes"]:
            api.terminate(each["id"])
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    if not (case.path.endswith("/container/run") and response.status_code == 502):  # of an image that cannot be had, says the contract
        checks.append(not_a_server_error)
    case.validate_response(response, checks=checks)
