"""Who may do what: keys, tenants, and an installation that is open to everybody."""

import hashlib

import httpx
import pytest
from running_server import Server
from contract import check_sandbox
from leftovers import leftovers
from service import Service, answer, refusal

RESEARCH_KEY = "sk-research-1234567890"
LAB_KEY = "sk-lab-1234567890"

PROTECTED = ["/api/sandboxes", "/api/sandboxes/0123456789abcdef", "/api/sandboxes/stats", "/api/resources",
             "/api/metrics/timeseries", "/sandboxes"]  # fmt: skip


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "bearer", "Bearer " + "x" * 5000, "Bearer a b"
], ids=lambda header: repr(header)[:20])  # fmt: skip
def test_without_a_valid_key_everything_but_health_is_401(server, path, header):
    with Service(server.base_url) as anybody:
        response = anybody.http.get(path, headers={} if header is None else {"Authorization": header})
    assert refusal(response, 401)
    assert "Bearer" in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_s_case_does_not_matter(server, scheme):
    with Service(server.base_url) as client:
        answer(client.http.get("/api/sandboxes", headers={"Authorization": f"{scheme} {server.api_key}"}))


def test_nothing_is_created_without_a_key(server, api):
    before = answer(api.http.get("/api/sandboxes"))["total"]
    with Service(server.base_url) as anybody:
        refusal(anybody.http.post("/api/sandboxes", json={}), 401)
        refusal(anybody.http.post("/sandboxes", json={}), 401)
    assert answer(api.http.get("/api/sandboxes"))["total"] == before


@pytest.mark.parametrize("path", ["/api/health", "/health", "/openapi.json", "/metrics"])
def test_what_machines_ask_is_open(server, path):
    assert httpx.get(server.base_url + path).status_code == 200


@pytest.fixture(scope="module")
def tenants(tmp_path_factory):
    """Two keys of two tenants on one server."""
    folder = tmp_path_factory.mktemp("t")
    digest = hashlib.sha256(LAB_KEY.encode()).hexdigest()
    (folder / "sandy.toml").write_text(
        f'[[api_keys]]\ntenant = "research"\nkey = "{RESEARCH_KEY}"\n[[api_keys]]\ntenant = "lab"\nsha256 = "{digest}"\n'
    )
    server = Server(folder / "data", ("--config", folder / "sandy.toml")).start()
    with Service(server.base_url, RESEARCH_KEY) as research, Service(server.base_url, LAB_KEY) as lab:
        yield research, lab
    assert server.stop() == 0 and leftovers(server) == []


def test_a_sandbox_of_another_tenant_answers_as_unknown_on_every_route(tenants):
    research, lab = tenants
    with research.box() as box:
        research.write(box, "secret", "mine")
        process = research.start(box, "sleep 100")
        number = process.get("process_id") or process.get("pid")
        requests = [
            ("GET", "", None), ("DELETE", "", None), ("POST", "/terminate", {}), ("POST", "/refresh", {}), ("GET", "/logs", None),
            ("POST", "/exec", {"command": "true"}), ("POST", "/exec", {"command": "true", "stream": True}),
            ("GET", "/files/read?path=secret", None), ("POST", "/files/write", {"path": "secret", "content": "theirs"}),
            ("GET", "/files/list", None), ("GET", "/files?path=secret", None), ("DELETE", "/files?path=secret", None),
            ("GET", "/processes", None), ("GET", f"/processes/{number}", None), ("GET", f"/processes/{number}/output", None),
            ("POST", f"/processes/{number}/signal", {"signal": "KILL"}), ("GET", "/files/stat?path=secret", None),
            ("POST", "/files/move", {"from": "secret", "to": "gone"}), ("GET", "/files/archive?path=/workspace", None),
            ("POST", "/preview", {}), ("GET", "/vnc", None), ("GET", "/files/watch?path=/workspace", None),
        ]  # fmt: skip
        for method, path, body in requests:
            response = lab.http.request(method, f"/api/sandboxes/{box}{path}", json=body)
            assert refusal(response, 404) == "Sandbox not found", (method, path)
        check_sandbox(answer(research.get(box)))
        assert answer(research.read(box, "secret"))["content"] == "mine"
        assert answer(lab.http.get("/api/sandboxes"))["sandboxes"] == []
        assert answer(lab.http.get("/api/sandboxes/stats", params={"ids": box})) == []


def test_an_open_installation_serves_clients_without_credentials(sandyd):
    server = sandyd("--open")
    with Service(server.base_url) as anybody:
        body = {"image": "basic", "ports": [8080], "timeout_seconds": 300, "resources": {"cpu": "2", "memory": "4Gi", "gpu": True}}
        box = answer(anybody.http.post("/sandboxes", json=body))["sandbox_id"]
        assert anybody.output(box, "echo hi") == "hi\n"
        assert anybody.http.delete(f"/sandboxes/{box}").status_code in (200, 204)
