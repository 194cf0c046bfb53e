"""What holds on every route: errors, CORS, request ids, methods."""

import pytest
from service import Service, answer, refusal

PATHS = ["/api/sandboxes", "/api/sandboxes/0123456789abcdef", "/api/sandboxes/0123456789abcdef/exec", "/api/sandboxes/stats",
         "/api/sandboxes/0123456789abcdef/files/write", "/api/resources", "/api/health", "/api/metrics/timeseries"]  # fmt: skip


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/nope", "/api/sandboxes/0123456789abcdef/nope", "/api/sandboxes//exec",
                                  "/api/sandboxes/0123456789abcdef/exec/more"])  # fmt: skip
def test_an_unknown_route_is_404_not_found(api, path):
    for method in ("GET", "POST"):
        response = api.http.request(method, path)
        assert refusal(response, 404) == "Not Found"


def test_an_unknown_route_on_a_living_sandbox_does_not_look_like_a_lost_sandbox(api, shared_box):
    detail = refusal(api.http.post(f"/api/sandboxes/{shared_box}/agent/nonsense", json={}), 404)
    assert detail == "Not Found"


@pytest.mark.parametrize("method, path", [("PUT", "/api/sandboxes"), ("PATCH", "/api/sandboxes/0123456789abcdef"),
                                          ("GET", "/api/sandboxes/0123456789abcdef/exec"), ("POST", "/api/resources")])  # fmt: skip
def test_another_method_is_405_and_says_which_are_allowed(api, method, path):
    response = api.http.request(method, path)
    refusal(response, 405)
    assert response.headers["Allow"]


@pytest.mark.parametrize("path", PATHS)
def test_preflight_is_answered_on_every_route_without_a_key(server, path):
    with Service(server.base_url) as browser:
        response = browser.http.options(path, headers={
            "Origin": "https://console.example.com", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-custom",
        })  # fmt: skip
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] in ("*", "https://console.example.com")
    methods = {each.strip() for each in response.headers["Access-Control-Allow-Methods"].split(",")}
    assert methods >= {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    allowed = {each.strip().lower() for each in response.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "x-custom"}


@pytest.mark.parametrize("path, key, status", [("/api/sandboxes", True, 200), ("/api/sandboxes", False, 401), ("/nope", True, 404)])
def test_answers_and_errors_can_be_read_by_a_page_of_another_origin(server, path, key, status):
    with Service(server.base_url, server.api_key if key else None) as browser:
        response = browser.http.get(path, headers={"Origin": "https://console.example.com"})
    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] in ("*", "https://console.example.com")


def test_tracing_headers_are_echoed(api):
    for path in ("/api/health", "/api/sandboxes", "/nope"):
        response = api.http.get(path, headers={"X-Request-Id": "req-42", "X-Correlation-ID": "corr_7"})
        assert response.headers["X-Request-Id"] == "req-42" and response.headers["X-Correlation-ID"] == "corr_7"


def test_a_request_without_an_id_gets_one_of_its_own(api):
    first, second = (api.http.get("/api/health").headers["X-Request-Id"] for _ in range(2))
    assert first and second and first != second


def test_a_hostile_id_is_not_echoed(api):
    response = api.http.get("/api/health", headers={"X-Request-Id": "x" * 10_000})
    assert response.status_code == 200 and len(response.headers["X-Request-Id"]) < 1000


def test_head_is_get_without_a_body(api):
    response = api.http.head("/api/health")
    assert response.status_code == 200 and response.content == b"" and int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(66 << 20)}], ids=["chunked", "announced"])
def test_bodies_over_the_limit_are_refused(server, headers):
    def pieces():
        for _ in range(66):
            yield b" " * (1 << 20)

    with Service(server.base_url, server.api_key) as client:
        assert refusal(client.http.post("/api/sandboxes", content=pieces(), headers=headers), 413)


def test_the_root_says_what_this_is(api):
    assert isinstance(answer(api.http.get("/")), dict)
