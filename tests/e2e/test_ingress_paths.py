"""Ports of sandboxes by paths of the API's address: with the key any port, without it the runtime port."""

import base64
import json

import pytest
from ingress import RUNTIME_PORT, Site, app_of_its_own, host, start_app
from service import Service, refusal

OTHER_PORT = 3000  # not exposed


@pytest.fixture(scope="module")
def app(api):
    with app_of_its_own(api) as app:
        start_app(api, app.box, OTHER_PORT)
        yield app


@pytest.fixture(scope="module")
def key(api):
    return {"Authorization": api.http.headers["Authorization"]}


@pytest.fixture
def proxy(app, key):
    return Site(app.site.base_url, {"Host": "127.0.0.1", **key}, f"/api/sandboxes/{app.box}/proxy/{OTHER_PORT}")


@pytest.fixture
def public(app):
    return Site(app.site.base_url, {"Host": "127.0.0.1"}, f"/sandbox/{app.box}")


def names(report: dict) -> set:
    return {name.lower() for name, _ in report["headers"]}


# -- with the key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/a/b?c=d&e", "/health", "/v1/chat/completions", "//double", "/a%2Fb/../c?x=%20", "/?", "/proxy/80/x", "/a?b?c"])
def test_what_follows_the_port_is_the_path(proxy, target):
    report = proxy.report(target)
    assert report["target"] == target and report["port"] == OTHER_PORT


def test_nothing_after_the_port_is_the_root(proxy):
    assert proxy.report("")["target"] == "/"
    assert proxy.report("?a=b")["target"] == "/?a=b"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_every_method_passes_with_its_body(proxy, method):
    report = proxy.report("/x", method, b'{"model": "m"}', headers={"Content-Type": "application/json"})
    assert report["method"] == method and base64.b64decode(report["body"]) == b'{"model": "m"}'


def test_head_passes(proxy):
    reply = proxy.visit("/", "HEAD")
    assert reply.status == 200 and reply.body == b"" and int(reply.header("content-length")) > 0


@pytest.mark.parametrize("port", [0, 65536, -1, "x", "80x", "", "%33000"])
def test_what_is_no_port_is_refused(api, app, port):
    assert api.http.get(f"/api/sandboxes/{app.box}/proxy/{port}/").status_code in (400, 404, 422)


def test_the_port_may_be_any(api, app, key):
    start_app(api, app.box, 80)
    site = Site(app.site.base_url, {"Host": "127.0.0.1", **key}, f"/api/sandboxes/{app.box}/proxy/80")
    assert site.report()["port"] == 80


def test_an_application_never_sees_the_key(proxy, key, app):
    report = proxy.report("/secret-path")
    assert "authorization" not in names(report)
    assert key["Authorization"].split()[1] not in json.dumps(app.events())


def test_the_application_sees_the_name_of_its_sandbox(proxy, app):
    seen = dict(map(tuple, proxy.report()["headers"]))
    assert seen["Host"] == host(app.box) and seen["X-Forwarded-For"] == "127.0.0.1" and seen["X-Forwarded-Proto"] == "http"


def test_events_pass_one_by_one(proxy):
    with proxy.wire("sse 2 60", method="POST", body=b"{}") as wire:
        reply = wire.head()
        assert reply.header("content-type") == "text/event-stream"
        assert json.loads(next(wire.body(reply)).removeprefix(b"data: "))["number"] == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_key_there_is_no_way(proxy, method, app):
    proxy.headers.pop("Authorization")
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        reply = proxy.visit("/keyless", method, headers=headers)
        assert reply.status == 401, reply
    assert not [each for each in app.events("request") if "/keyless" in each["line"]]


CONFIG = """
[[api_keys]]
tenant = "one"
key = "key-of-one"
[[api_keys]]
tenant = "two"
key = "key-of-two"
"""


def test_a_sandbox_of_another_tenant_is_an_unknown_one(sandyd, tmp_path):
    file = tmp_path / "sandy.toml"
    file.write_text(CONFIG)
    server = sandyd("--config", file)
    with Service(server.base_url, "key-of-one") as one, Service(server.base_url, "key-of-two") as two, app_of_its_own(one) as app:
        path = f"/api/sandboxes/{app.box}/proxy/{RUNTIME_PORT}/tenant"
        assert one.http.get(path).status_code == 200
        assert refusal(two.http.get(path), 404) == "Sandbox not found"
        assert refusal(two.http.get(f"/api/sandboxes/{'0' * 16}/proxy/80/"), 404) == "Sandbox not found"
        assert len([each for each in app.events("request") if "/tenant" in each["line"]]) == 1


def test_where_nothing_listens_is_502(api, app):
    reply = api.http.get(f"/api/sandboxes/{app.box}/proxy/4999/")
    assert reply.status_code == 502 and reply.json()["detail"].startswith("Upstream error: ")


def test_the_alias_without_api_leads_there_too(app, key):
    site = Site(app.site.base_url, {"Host": "127.0.0.1", **key}, f"/sandboxes/{app.box}/proxy/{OTHER_PORT}")
    assert site.report("/x")["target"] == "/x"


# -- without ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/a/b?c", "/api/health", "/sandbox/x"])
def test_the_runtime_port_has_a_public_path(public, target):
    report = public.report(target)
    assert report["target"] == target and report["port"] == RUNTIME_PORT


def test_the_public_path_alone_is_the_root(public):
    assert public.report("")["target"] == "/"


def test_the_public_path_of_an_unknown_sandbox_is_not_found(public):
    public.prefix = "/sandbox/" + "0" * 16
    for target in ("", "/", "/x"):
        reply = public.visit(target)
        assert reply.status == 404 and reply.json()["detail"] == "Sandbox not found"


def test_a_key_that_comes_along_the_public_path_stays_outside(public, key, app):
    public.report("/careless", headers=key)
    assert key["Authorization"].split()[1] not in json.dumps(app.events())


def test_pages_below_a_path_get_nothing_of_the_origin_they_share(public, proxy):
    """Scripts of a sandbox must not act as the API's own pages."""
    for site in (public, proxy):
        reply = site.raw(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 2\r\n\r\nok", headers={"Cookie": "session=of-the-api"})
        assert reply.body == b"ok" and reply.all("set-cookie") == []
        assert "sandbox" in reply.header("content-security-policy")
        assert "cookie" not in names(site.report("/", headers={"Cookie": "session=of-the-api"}))


def test_an_application_cannot_loosen_that(public):
    reply = public.raw(b"HTTP/1.1 200 OK\r\nContent-Security-Policy: default-src *\r\nContent-Length: 2\r\n\r\nok")
    assert any(value.split(";")[0].strip().startswith("sandbox") for value in reply.all("content-security-policy"))


# -- from inside -----------------------------------------------------------------------------------------------


def test_sandboxes_talk_through_public_names(api, app):
    """No connection is needed for what everybody may reach."""
    with api.box() as box:
        request = f"urllib.request.Request('http://127.0.0.1:7330/from-inside', headers={{'Host': '{host(app.box)}'}})"
        said = api.output(box, f'python3 -c "import urllib.request; print(urllib.request.urlopen({request}).read().decode())"')
        assert json.loads(said)["target"] == "/from-inside"
        direct = f"http://127.0.0.1:7330/sandbox/{app.box}/by-path"
        assert json.loads(api.output(box, f"curl -sf {direct}"))["target"] == "/by-path"
