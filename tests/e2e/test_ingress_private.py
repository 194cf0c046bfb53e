"""Ports that only the holder of a signed address reaches, for a while."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from ingress import RUNTIME_PORT, Site, app_of_its_own, free_port, host, start_app
from raw_http import Wire
from service import Service, answer, refusal
from waiting import wait_until

OTHER_PORT = 3000


@pytest.fixture(scope="module")
def app(api):
    """Both ports are exposed and private."""
    with app_of_its_own(api, privatePorts=[RUNTIME_PORT, OTHER_PORT], expose_ports=[OTHER_PORT]) as app:
        start_app(api, app.box, OTHER_PORT)
        yield app


@pytest.fixture(scope="module")
def stranger(api):
    """Another sandbox with a private port."""
    with app_of_its_own(api, private_ports=[RUNTIME_PORT]) as app:
        yield app


def signed(app, **fields) -> str:
    """A signed address of the application."""
    return answer(app.api.http.post(f"/api/sandboxes/{app.box}/preview", json=fields))["url"]


class Visitor:
    """A browser's way through a signed address: follows the redirect with the cookie, as a page of that address does."""

    def __init__(self, app, url: str):
        self.parts = urlsplit(url)
        self.site = Site(app.site.base_url, {"Host": self.parts.netloc})
        self.target = (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")

    def opens(self):
        """The first answer, and what it sets: the site is then visited with the cookie."""
        reply = self.site.visit(self.target)
        if reply.status in (302, 303, 307):
            (cookie,) = reply.all("set-cookie")
            self.cookie, self.attributes = cookie.split(";")[0], [part.strip().lower() for part in cookie.split(";")[1:]]
            self.site.headers["Cookie"] = self.cookie
            self.location = reply.header("location")
        return reply


def refused(reply) -> bool:
    return reply.status == 403 and bool(reply.json()["detail"])


def other_token(url: str, change) -> str:
    """The same address with another token; tokens are in the query."""
    parts = urlsplit(url)
    ((name, token),) = parse_qsl(parts.query)
    return parts._replace(query=f"{name}={change(token)}").geturl()


@pytest.mark.parametrize("path", ["/", "/api/health", "/anything"])
def test_without_a_signature_a_private_port_is_closed(app, path):
    for site in (app.site, app.at(host=f"{RUNTIME_PORT}-{host(app.box)}"), app.at(host=f"{OTHER_PORT}-{host(app.box)}"),
                 app.at(host="127.0.0.1", x_sandy_host=host(app.box)), app.at(host=f"{host(app.box)}:{OTHER_PORT}")):  # fmt: skip
        assert refused(site.visit(path)), site
    site = app.at(host="127.0.0.1")
    site.prefix = f"/sandbox/{app.box}"
    assert refused(site.visit(path))
    assert app.events("request") == []


def test_a_websocket_needs_the_signature_too(app):
    with app.site.wire() as wire:
        wire.send(app.site.head_of("GET", "/", "Connection: Upgrade", "Upgrade: echo", "X-Do: upgrade echo"))
        assert wire.reply().status == 403
    visitor = Visitor(app, signed(app))
    visitor.opens()
    with visitor.site.wire() as wire:
        wire.send(visitor.site.head_of("GET", "/", "Connection: Upgrade", "Upgrade: echo", "X-Do: upgrade echo"))
        assert wire.head().status == 101


def test_a_signed_address_opens_the_port_with_a_cookie_and_shows_no_token_further(app):
    visitor = Visitor(app, signed(app, path="/page?a=b%2Fc"))
    assert visitor.opens().status in (302, 303, 307)
    location = urlsplit(visitor.location)
    assert location.path == "/page" and location.query == "a=b%2Fc" and location.netloc in ("", visitor.parts.netloc)
    assert "httponly" in visitor.attributes and "path=/" in visitor.attributes and not [part for part in visitor.attributes if part.startswith("domain")]
    report = visitor.site.report("/page?a=b%2Fc")
    assert report["target"] == "/page?a=b%2Fc" and report["port"] == RUNTIME_PORT
    token = parse_qsl(visitor.parts.query)[-1][1]
    secret = visitor.cookie.split("=", 1)[1]
    said = json.dumps(app.events())
    assert token not in said and secret not in said and "cookie" not in {name.lower() for name, _ in report["headers"]}


def test_other_cookies_and_parameters_are_the_applications(app):
    visitor = Visitor(app, signed(app))
    visitor.opens()
    seen = visitor.site.report("/x?token=mine&sig=mine", headers={"Cookie": f"a=1; {visitor.cookie}; b=2"})
    assert seen["target"] == "/x?token=mine&sig=mine"
    assert [value for name, value in seen["headers"] if name.lower() == "cookie"] == ["a=1; b=2"]


def test_a_signature_is_for_its_port(app):
    visitor = Visitor(app, signed(app, port=OTHER_PORT))
    visitor.opens()
    assert visitor.site.report()["port"] == OTHER_PORT
    for site in (app.site, app.at(host=f"{RUNTIME_PORT}-{host(app.box)}")):
        assert refused(site.visit("/", headers={"Cookie": visitor.cookie}))
        assert refused(site.visit(visitor.target))


def test_a_signature_is_for_its_sandbox(app, stranger):
    visitor = Visitor(app, signed(app))
    visitor.opens()
    assert refused(stranger.site.visit("/", headers={"Cookie": visitor.cookie}))
    assert refused(stranger.site.visit(visitor.target))
    assert stranger.events("request") == []


@pytest.mark.parametrize("change", [
    lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"), lambda token: token[:-1], lambda token: token + "0", lambda token: "",
    lambda token: token.replace("0", "1").replace("9", "8"), lambda token: "x" * 10_000, lambda token: "%00" + token, lambda token: token[::-1],
    lambda token: "9" + token[1:], lambda token: "99999999999999999999" + token,
])  # fmt: skip
def test_a_changed_token_opens_nothing(app, change):
    reply = Visitor(app, other_token(signed(app), change)).opens()
    # One of these changes may leave a token as it is: then it opens, and says so by its redirect.
    assert refused(reply) or other_token(signed(app), change) == signed(app)
    visitor = Visitor(app, signed(app))
    visitor.opens()
    name, value = visitor.cookie.split("=", 1)
    if change(value) != value:
        assert refused(app.site.visit("/", headers={"Cookie": f"{name}={change(value)}"}))


def test_a_signature_expires(app):
    visitor = Visitor(app, signed(app, expiresIn=2))
    assert visitor.opens().status in (302, 303, 307)
    assert visitor.site.visit().status == 200
    wait_until(lambda: refused(visitor.site.visit()), "the cookie expires")
    assert refused(visitor.site.visit(visitor.target))


@pytest.mark.parametrize("value", [0, -1, 10**12, "soon"])
def test_lifetimes_of_signatures_are_bounded(app, value):
    response = app.api.http.post(f"/api/sandboxes/{app.box}/preview", json={"expiresIn": value})
    if value == 10**12 and response.status_code == 200:  # cut to the longest
        return
    refusal(response, (400, 422))


def test_the_key_is_enough_by_the_path_of_the_api(app):
    key = app.api.http.headers["Authorization"]
    site = Site(app.site.base_url, {"Host": "127.0.0.1", "Authorization": key}, f"/api/sandboxes/{app.box}/proxy/{OTHER_PORT}")
    assert site.report()["port"] == OTHER_PORT


def test_previews_of_ports_that_are_not_private_need_no_signature(api):
    with app_of_its_own(api, expose_ports=[OTHER_PORT]) as app:
        for port in (RUNTIME_PORT, OTHER_PORT):
            parts = urlsplit(signed(app, port=port))
            assert parts.query == ""
        assert app.site.visit().status == 200


def test_a_port_that_is_not_exposed_is_opened_by_its_signature_only(api):
    with app_of_its_own(api) as app:
        start_app(api, app.box, 4000)
        visitor = Visitor(app, signed(app, port=4000))
        assert visitor.site.visit().status == 404
        assert visitor.opens().status in (302, 303, 307)
        assert visitor.site.report()["port"] == 4000


def test_a_listener_of_a_private_port_is_closed_too(api):
    port = free_port()
    with app_of_its_own(api, port, expose_ports=[port], privatePorts=[port]) as app:
        with Wire(f"http://127.0.0.1:{port}") as wire:
            assert wire.call("GET", "/", {"Host": f"{host(app.box)}:{port}"}).status == 403


def test_signatures_outlive_the_server(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as service:
        made = service.create(privatePorts=[RUNTIME_PORT], ttl_seconds=600)
        app = start_app(service, made["id"])
        visitor = Visitor(app, signed(app))
        visitor.opens()
    server.kill()
    server.start()
    for cookie in ({}, {"Cookie": visitor.cookie}):
        reply = Site(server.base_url, {"Host": host(made["id"]), **cookie}).visit()
        assert reply.status == (200 if cookie else 403)


def test_private_ports_must_be_ports(api):
    for value in ([0], [65536], ["x"], "x", {"a": 1}):
        response = api.http.post("/api/sandboxes", json={"privatePorts": value, "ttl_seconds": 600})
        refusal(response, (400, 422))
