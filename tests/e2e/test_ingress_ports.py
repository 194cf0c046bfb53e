"""Exposed ports: a listener for each, shared by all sandboxes that expose the same."""

import contextlib
import socket
from urllib.parse import urlsplit

from ingress import RUNTIME_PORT, Site, app_of_its_own, free_port, host, start_app
from raw_http import Wire
from running_server import Server
from service import Service
from waiting import wait_until
from world import network_namespace


def at_port(port: int, box: str, named: bool = True) -> Site:
    """A sandbox as it is addressed at a port's own listener."""
    return Site(f"http://127.0.0.1:{port}", {"Host": host(box) + (f":{port}" if named else "")})


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except ConnectionRefusedError:
        return False


@contextlib.contextmanager
def exposing(api, port: int, **body):
    """An application on an exposed port; nothing on the runtime port."""
    with app_of_its_own(api, port, expose_ports=[port], **body) as app:
        yield app


def test_an_exposed_port_has_a_listener_as_long_as_a_sandbox_exposes_it(api):
    port = free_port()
    with exposing(api, port) as first:
        assert at_port(port, first.box).report("/x")["port"] == port
        with exposing(api, port) as second:
            for app in (first, second):
                seen = at_port(port, app.box).report()
                assert dict(map(tuple, seen["headers"]))["Host"] == host(app.box)
        assert at_port(port, first.box).visit().status == 200
        assert at_port(port, second.box).visit().status == 404
    wait_until(lambda: not listens(port), "the listener closes with the last of them")


def test_a_listener_leads_to_sandboxes_that_expose_its_port_only(api):
    port = free_port()
    with exposing(api, port) as app, api.box() as other:
        start_app(api, other, port)
        reply = at_port(port, other).visit()
        assert reply.status == 404 and reply.json()["detail"] != "Sandbox not found"
        assert at_port(port, app.box, named=False).report()["port"] == port
        unknown = at_port(port, "0" * 16).visit()
        assert unknown.status == 404 and unknown.json()["detail"] == "Sandbox not found"


def test_a_listener_of_a_port_is_no_way_to_the_api(api):
    port = free_port()
    with exposing(api, port):
        with Wire(f"http://127.0.0.1:{port}") as wire:
            reply = wire.call("GET", "/api/sandboxes", {"Host": f"127.0.0.1:{port}", "Authorization": api.http.headers["Authorization"]})
        assert reply.status == 404


def test_the_port_of_the_name_selects_an_exposed_port_at_the_main_address_too(api):
    port = free_port()
    with exposing(api, port) as app:
        assert app.at(host=f"{host(app.box)}:{port}").report()["port"] == port
        assert app.at(host=host(app.box)).visit().status == 502  # nothing on the runtime port


def test_a_port_exposed_twice_or_the_runtime_port_itself_is_one_port(api):
    port = free_port()
    with api.box(expose_ports=[port, port, RUNTIME_PORT], ports=[port]) as box:
        start_app(api, box, port)
        assert at_port(port, box).report()["port"] == port
    wait_until(lambda: not listens(port), "the listener closes")


def test_a_port_that_is_taken_is_said_and_nothing_more(api):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = api.create(expose_ports=[port], ttl_seconds=600)
        try:
            assert any(str(port) in warning for warning in made["warnings"]), made["warnings"]
            start_app(api, made["id"], port)
            site = Site(str(api.http.base_url).rstrip("/"), {"Host": f"{port}-{host(made['id'])}"})
            assert site.report()["port"] == port
        finally:
            api.terminate(made["id"])


def test_a_low_port_has_its_listener_where_the_server_may(tmp_path_factory):
    with network_namespace():  # there nobody else has it
        server = Server(tmp_path_factory.mktemp("low") / "data").start()
        try:
            with Service(server.base_url, server.api_key) as service, exposing(service, 80) as app:
                assert not any("80" in warning for warning in service.get(app.box).json().get("warnings", []))
                assert at_port(80, app.box).report()["port"] == 80
                assert at_port(80, app.box, named=False).report()["port"] == 80
        finally:
            server.terminate_all()
            server.stop()


def test_clients_that_append_a_port_to_the_public_url_reach_it(sandyd):
    """As sandboxes' own clients do: `{public_url}:{port}`, where the URL carries no port."""
    port = free_port()
    server = sandyd("--public-port", 80)
    with Service(server.base_url, server.api_key) as service, exposing(service, port) as app:
        url = urlsplit(f"{service.get(app.box).json()['public_url']}:{port}")
        assert Site(f"http://127.0.0.1:{url.port}", {"Host": url.netloc}).report()["port"] == port


def test_listeners_can_be_switched_off(sandyd, tmp_path):
    port = free_port()
    file = tmp_path / "sandy.toml"
    file.write_text("port_listeners = false\n")
    server = sandyd("--config", file)
    with Service(server.base_url, server.api_key) as service, exposing(service, port) as app:
        assert not listens(port)
        assert app.at(host=f"{port}-{host(app.box)}").report()["port"] == port


def test_listeners_are_there_again_after_a_crash(sandyd):
    port = free_port()
    server = sandyd()
    with Service(server.base_url, server.api_key) as service:
        app = start_app(service, service.create(expose_ports=[port], ttl_seconds=600)["id"], port)
    server.kill()
    assert not listens(port)
    server.start()
    wait_until(lambda: listens(port) and at_port(port, app.box).visit().status == 200, "the port is served again")


def test_a_variable_of_the_sandbox_names_another_runtime_port(api):
    with app_of_its_own(api, 8000, env={"SANDY_RUNTIME_PORT": "8000"}) as app:
        assert app.site.report()["port"] == 8000
        assert app.at(host=f"8000-{host(app.box)}").report()["port"] == 8000
