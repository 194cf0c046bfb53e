"""Which sandbox, and which port of it, a request belongs to."""

import pytest
from ingress import RUNTIME_PORT, SUFFIX, app_of_its_own, host, start_app
from service import Service

NOT_FOUND = "Sandbox not found"
OTHER_PORT = 3000


@pytest.fixture(scope="module")
def app(api):
    """Applications on the runtime port and on an exposed one."""
    with app_of_its_own(api, expose_ports=[OTHER_PORT]) as app:
        start_app(api, app.box, OTHER_PORT)
        yield app


@pytest.fixture(scope="module")
def other(api):
    with app_of_its_own(api) as app:
        yield app


def is_api(reply) -> bool:
    return reply.status == 200 and reply.json().get("status") == "ok"


def test_a_host_name_names_its_sandbox(app, other):
    for each in (app, other):
        report = each.site.report()
        assert report["port"] == RUNTIME_PORT
        assert dict(map(tuple, report["headers"]))["Host"] == host(each.box)


def test_any_other_name_is_the_api(app):
    for name in ("127.0.0.1", "localhost", "sandy.localhost", "sandy.example.com", host(app.box, ".example.com"), host(app.box) + ".example.com"):
        assert is_api(app.at(host=name).visit("/api/health")), name


@pytest.mark.parametrize("header", ["X-Sandy-Host", "X-Forwarded-Host"])
def test_a_header_names_the_sandbox_at_the_address_of_the_api(app, header):
    report = app.at(host="127.0.0.1").report("/", headers={header: host(app.box)})
    assert dict(map(tuple, report["headers"]))["Host"] == host(app.box)


def test_the_headers_precede_the_host_name_in_their_order(app, other):
    def reached(own, forwarded, sandy=None):
        headers = {"X-Forwarded-Host": forwarded, **({"X-Sandy-Host": sandy} if sandy else {})}
        seen = app.at(host=own).report("/", headers=headers)["headers"]
        return dict(map(tuple, seen))["Host"]

    a, b = host(app.box), host(other.box)
    assert reached(own=a, forwarded=b) == b
    assert reached(own=a, forwarded=a, sandy=b) == b
    assert reached(own=b, forwarded=b, sandy=a) == a
    # A header that names no sandbox does not keep the next one from doing so.
    assert reached(own=a, forwarded="www.example.com") == a
    assert reached(own="127.0.0.1", forwarded=b, sandy="www.example.com") == b


@pytest.mark.parametrize("path", ["/", "/health", "/api/health", "/api/sandboxes", "/metrics", "/openapi.json", "/sandbox/x/y", "/proxy/80/"])
def test_every_path_is_the_applications(app, path):
    assert app.site.report(path)["target"] == path


def test_no_credentials_are_needed_and_those_sent_are_the_applications(app):
    assert app.site.visit().status == 200
    headers = {"Authorization": "Bearer nobody-knows", "Cookie": "a=b"}
    seen = dict(map(tuple, app.site.report("/", headers=headers)["headers"]))
    assert seen["Authorization"] == "Bearer nobody-knows" and seen["Cookie"] == "a=b"


def test_case_and_port_of_the_name_do_not_matter(app):
    for name in (host(app.box).upper(), host(app.box).title(), host(app.box) + ":80", host(app.box) + ":12345"):
        assert app.at(host=name).report()["port"] == RUNTIME_PORT, name


def test_a_name_may_begin_with_the_word_sandbox(app):
    for prefix in ("sandbox-", "SandBox-"):
        assert app.at(host=prefix + host(app.box)).report()["port"] == RUNTIME_PORT


def test_a_name_may_begin_with_an_exposed_port(app):
    assert app.at(host=f"{OTHER_PORT}-{host(app.box)}").report()["port"] == OTHER_PORT
    assert app.at(host=f"{RUNTIME_PORT}-{host(app.box)}").report()["port"] == RUNTIME_PORT


def test_a_port_that_is_not_exposed_is_not_reached_by_name(api, app):
    start_app(api, app.box, 4000)
    reply = app.at(host=f"4000-{host(app.box)}").visit()
    assert reply.status == 404
    detail = reply.json()["detail"]
    assert "4000" in detail and NOT_FOUND not in detail, detail


@pytest.mark.parametrize("label", ["0-{}", "65536-{}", "99999999999999999999-{}", "-1-{}", "x-{}", "3000-3000-{}", "3000-sandbox-sandbox-{}"])
def test_what_is_no_port_before_an_id_finds_nothing(app, label):
    reply = app.at(host=host(label.format(app.box))).visit()
    assert reply.status == 404, reply


@pytest.mark.parametrize("label", ["0123456789abcdef", "0" * 16, "nobody", "a_b", "a" * 63])
def test_an_unknown_id_is_not_found_on_every_path(app, label):
    for path in ("/", "/api/health", "/artifacts/x"):
        reply = app.at(host=host(label)).visit(path)
        assert reply.status == 404 and reply.json()["detail"] == NOT_FOUND


def test_an_ended_sandbox_is_not_found(api):
    with app_of_its_own(api) as app:
        assert app.site.visit().status == 200
        api.terminate(app.box)
        reply = app.site.visit()
        assert reply.status == 404 and reply.json()["detail"] == NOT_FOUND


def test_answers_of_applications_carry_nothing_of_ours(app):
    reply = app.site.visit("/", headers={"Origin": "http://elsewhere.example", "X-Request-Id": "mine"})
    assert not [name for name, _ in reply.headers if name.lower().startswith(("access-control-", "ratelimit-", "vary"))]
    # A preflight is the application's to answer, too.
    preflight = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "PUT"}
    assert app.site.report("/", "OPTIONS", headers=preflight)["method"] == "OPTIONS"


@pytest.fixture
def suffixes(sandyd):
    """A server with two suffixes, the first without its dot."""
    server = sandyd("--host-suffix", f"apps.localhost,{SUFFIX}")
    with Service(server.base_url, server.api_key) as service, app_of_its_own(service) as app:
        yield service, app


def test_several_suffixes_lead_to_a_sandbox_and_the_first_is_shown(suffixes):
    service, app = suffixes
    assert f"//{app.box}.apps.localhost" in service.get(app.box).json()["url"]
    assert app.at(host=host(app.box, ".apps.localhost")).visit().status == 200
    assert app.at(host=host(app.box)).visit().status == 200
    seen = dict(map(tuple, app.at(host=host(app.box)).report()["headers"]))
    assert seen["X-Forwarded-Host"].split(":")[0] == host(app.box)
