"""/artifacts/ on a sandbox's host name: the artifact server, else the application, else the files themselves."""

import hashlib

import pytest
from ingress import RUNTIME_PORT, Site, app_of_its_own, host, start_app

FOLDER = "/workspace/artifacts"
GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"


@pytest.fixture(scope="module")
def quiet(api):
    """A sandbox where nothing listens; gives its id."""
    with api.box() as box:
        yield box


@pytest.fixture(scope="module")
def files(api, quiet):
    """The way to the files of that sandbox."""
    api.write(quiet, f"{FOLDER}/note.txt", "a note\n")
    api.write(quiet, f"{FOLDER}/screenshots/page 1.png", "iVBORw0KGgo=", encoding="base64")
    api.write(quiet, "/workspace/secret.txt", "not for everybody\n")
    return Site(str(api.http.base_url).rstrip("/"), {"Host": host(quiet)})


# -- who answers -----------------------------------------------------------------------------------------------


def ports(app) -> int:
    return app.site.report("/artifacts/x")["port"]


def test_the_artifact_server_comes_first_then_the_application(api):
    with app_of_its_own(api) as app:
        assert ports(app) == RUNTIME_PORT
        start_app(api, app.box, 8787)
        assert ports(app) == 8787
        assert app.site.report("/other")["port"] == app.site.report("/artifactsx")["port"] == RUNTIME_PORT
        api.exec(app.box, "while pkill -f -- '[-]-port 8787'; do sleep 0.02; done")  # one that is dying still accepts
        assert ports(app) == RUNTIME_PORT


def test_the_sandboxs_environment_names_the_artifact_port(api):
    with app_of_its_own(api, env={"JANUS_ARTIFACT_PORT": "9123"}) as app:
        start_app(api, app.box, 8787)
        assert ports(app) == RUNTIME_PORT  # 8787 is only for those who name no port
        start_app(api, app.box, 9123)
        assert ports(app) == 9123


@pytest.mark.parametrize("value", ["", "many", "0", "70000", "-1", "8787 "])
def test_a_variable_that_is_no_port_hurts_nobody(api, value):
    with app_of_its_own(api, env={"JANUS_ARTIFACT_PORT": value}) as app:
        api.write(app.box, f"{FOLDER}/x", "a file")
        assert app.site.report("/artifacts/x")["port"] == RUNTIME_PORT


def test_an_application_that_does_not_know_the_file_does_not_hide_it(api):
    with app_of_its_own(api) as app:
        api.write(app.box, f"{FOLDER}/x.txt", "a file")
        reply = app.site.raw(GONE, target="/artifacts/x.txt")
        assert (reply.status, reply.body) == (200, b"a file")
        assert app.site.raw(GONE, target="/artifacts/y.txt").status == 404
        reply = app.site.raw(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nfail", target="/artifacts/x.txt")
        assert (reply.status, reply.body) == (500, b"fail")


def test_the_public_path_serves_artifacts_too_and_no_page_is_at_home_there(api, quiet, files):
    site = Site(files.base_url, {"Host": "127.0.0.1"}, f"/sandbox/{quiet}")
    api.write(quiet, f"{FOLDER}/page.html", "<script>fetch('/api/sandboxes')</script>")
    assert site.visit("/artifacts/note.txt").body == b"a note\n"
    for headers in ({}, {"Range": "bytes=0-3"}):
        assert site.visit("/artifacts/page.html", headers=headers).header("content-security-policy").startswith("sandbox ")
    assert files.visit("/artifacts/page.html").header("content-security-policy") is None  # there it is at home


def test_an_artifact_server_of_clients_works(api):
    """Started as clients' own bootstrap does: a loop around a small Python server."""
    with api.box() as box:
        api.write(box, f"{FOLDER}/made.html", "<p>made</p>")
        api.start(box, "while true; do python3 -m http.server 8787 --directory /workspace; sleep 1; done")
        site = Site(str(api.http.base_url).rstrip("/"), {"Host": host(box)})
        api.output(box, "for i in $(seq 200); do curl -sf localhost:8787/ >/dev/null && exit; sleep 0.05; done; exit 1")
        reply = site.visit("/artifacts/made.html")
        assert reply.body == b"<p>made</p>" and "SimpleHTTP" in reply.header("server")


# -- the files themselves --------------------------------------------------------------------------------------


def test_a_file_has_its_length_its_type_and_is_for_every_page(files):
    reply = files.visit("/artifacts/note.txt")
    assert (reply.status, reply.body) == (200, b"a note\n")
    assert reply.header("content-length") == "7" and reply.header("content-type").startswith("text/plain")
    assert reply.header("access-control-allow-origin") == "*"
    reply = files.visit("/artifacts/screenshots/page%201.png?cache=1")
    assert reply.status == 200 and reply.header("content-type") == "image/png" and reply.body == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name,kind", [("a.html", "text/html"), ("a.json", "application/json"), ("a.pdf", "application/pdf"), ("a.svg", "image/svg+xml"),
                                       ("a.csv", "text/csv"), ("a.jpg", "image/jpeg"), ("a.JPEG", "image/jpeg"), ("a.gif", "image/gif"), ("a.webp", "image/webp"),
                                       ("a.mp4", "video/mp4"), ("a.mp3", "audio/mpeg"), ("a.md", "text/markdown"), ("a.css", "text/css"), ("a.js", "text/javascript"),
                                       ("a.zip", "application/zip"), ("a.unknown", "application/octet-stream"), ("a", "application/octet-stream")])  # fmt: skip
def test_the_type_follows_from_the_name(api, quiet, files, name, kind):
    api.write(quiet, f"{FOLDER}/types/{name}", "x")
    assert files.visit(f"/artifacts/types/{name}").header("content-type").split(";")[0] == kind


def test_large_and_odd_files_are_exact(api, quiet, files):
    digest = api.output(quiet, f"cd {FOLDER} && head -c 30000000 /dev/urandom > large.bin && : > empty && sha256sum < large.bin").split()[0]
    reply = files.visit("/artifacts/large.bin")
    assert reply.header("content-length") == "30000000" and hashlib.sha256(reply.body).hexdigest() == digest
    assert files.visit("/artifacts/empty").header("content-length") == "0"
    for name in ("gr\u00fc\u00dfe \U0001f600.txt", "a#b?c%d.txt", "a+b&c=d.txt", "-rf"):
        api.write(quiet, f"{FOLDER}/{name}", name)
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        assert files.visit(f"/artifacts/{quoted}").body == name.encode()


def test_head_says_what_get_would(files):
    reply = files.visit("/artifacts/note.txt", "HEAD")
    assert reply.status == 200 and reply.body == b"" and reply.header("content-length") == "7"
    assert reply.header("access-control-allow-origin") == "*"
    assert files.visit("/artifacts/none", "HEAD").status == 404


def test_a_part_can_be_asked_for(files):
    reply = files.visit("/artifacts/note.txt", headers={"Range": "bytes=2-3"})
    assert (reply.status, reply.body, reply.header("content-range")) == (206, b"no", "bytes 2-3/7")


def test_a_page_may_ask_first(files):
    reply = files.visit("/artifacts/note.txt", "OPTIONS", headers={"Origin": "http://a.example", "Access-Control-Request-Method": "GET"})
    assert reply.status in (200, 204) and reply.header("access-control-allow-origin") == "*"


@pytest.mark.parametrize("target", ["/artifacts/none", "/artifacts/none/none", "/artifacts/note.txt/x", "/artifacts/", "/artifacts", "/artifacts/screenshots"])
def test_what_is_no_file_is_not_found_and_the_sandbox_is_not_to_blame(files, target):
    reply = files.visit(target)
    assert reply.status == 404 and "Sandbox" not in reply.json()["detail"], reply


TRAVERSALS = ["/artifacts/../secret.txt", "/artifacts/%2e%2e/secret.txt", "/artifacts/..%2fsecret.txt", "/artifacts/%2e%2e%2fsecret.txt",
              "/artifacts/screenshots/../../secret.txt", "/artifacts/./../secret.txt", "/artifacts//../secret.txt", "/artifacts/..\\secret.txt",
              "/artifacts//workspace/secret.txt", "/artifacts/%2fworkspace/secret.txt", "/artifacts/%252e%252e/secret.txt", "/artifacts/..%00/secret.txt",
              "/artifacts/.%2e/secret.txt", "/artifacts/..;/secret.txt", "/artifacts/%c0%ae%c0%ae/secret.txt", "/artifacts/note.txt%00.png",
              "/artifacts/../../etc/passwd", "/artifacts//etc/passwd", "/artifacts/../../../../../../proc/1/environ"]  # fmt: skip


@pytest.mark.parametrize("target", TRAVERSALS)
def test_no_path_leads_out(files, target):
    reply = files.visit(target)
    # Some of these are, read plainly, not below /artifacts/ at all: then they are the application's, and there is none.
    assert reply.status in (400, 403, 404, 502), reply


@pytest.fixture(scope="module")
def links(api, quiet, files):
    """Symbolic links of all kinds."""
    api.output(quiet, f"""
        cd {FOLDER} && mkdir -p in
        ln -s ../secret.txt relative && ln -s /workspace/secret.txt absolute && ln -s /etc/passwd passwd && ln -s .. up && ln -s / root
        ln -s ../.. in/up && ln -s loop loop && ln -s nowhere dangling && ln -s /proc/self/root/workspace/secret.txt proc
        ln -s note.txt inside && mkfifo pipe && ln -s /dev/zero zero""")


@pytest.mark.parametrize("target", ["relative", "absolute", "passwd", "up/secret.txt", "root/etc/passwd", "in/up/secret.txt", "loop", "dangling", "proc", "zero", "pipe",
                                    "up/artifacts/../secret.txt"])  # fmt: skip
def test_no_link_leads_out(files, links, target):
    reply = files.visit(f"/artifacts/{target}")
    assert reply.status in (400, 403, 404), reply


def test_a_folder_that_is_a_link_leads_nowhere(api):
    with api.box() as box:
        api.output(box, f"ln -s /etc {FOLDER} || (rmdir {FOLDER} && ln -s /etc {FOLDER})")
        site = Site(str(api.http.base_url).rstrip("/"), {"Host": host(box)})
        assert site.visit("/artifacts/passwd").status in (403, 404)


def test_a_file_that_is_replaced_by_links_while_it_is_read_never_shows_another(api, quiet, files):
    """A race between looking and opening would show now and then."""
    api.start(quiet, f"cd {FOLDER} && while true; do ln -sfn /workspace/secret.txt flip; ln -sfn note.txt flip; done")
    try:
        for _ in range(300):
            assert b"everybody" not in files.visit("/artifacts/flip").body
    finally:
        api.exec(quiet, "pkill -f '[f]lip'")


def test_files_are_read_only(files):
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert files.visit("/artifacts/note.txt", method, b"x").status in (404, 405, 502)
    assert files.visit("/artifacts/note.txt").body == b"a note\n"
