"""Secrets that a sandbox uses without knowing them. Their hosts are in a world of the test's own (world.py)."""

import base64
import json
import stat
import subprocess

import pytest
import world as there
from leftovers import leftovers
from running_server import Server
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 384, "disk_gb": 0.3}, "ttl_seconds": 600}
VALUE = "sk-the-real-value-7c0ffee"
GOOD = {"KEY": {"value": VALUE, "hosts": ["good.example"]}}


class Hosts(there.World):
    """Servers with certificates of an authority of their own, which note the requests that they get."""

    def __init__(self, scratch):
        super().__init__(scratch)
        self.requests = []  # (host, path, headers, whether with TLS)
        self.authority = scratch / "authority.pem"
        made = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=scratch)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        made("req", "-x509", *key, "-subj", "/CN=Authority of the test", "-keyout", "authority.key", "-out", self.authority)
        names = ",".join(f"DNS:{name}" for name in self.names.names if name != "cdn.example")
        (scratch / "extensions").write_text(f"subjectAltName={names}\n")
        made("req", *key[:-2], "-subj", "/CN=hosts", "-keyout", "hosts.key", "-out", "hosts.csr")
        made("x509", "-req", "-in", "hosts.csr", "-CA", self.authority, "-CAkey", "authority.key", "-CAcreateserial",
             "-days", "2", "-extfile", "extensions", "-out", "hosts.pem")
        tls = there.ssl.SSLContext(there.ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(scratch / "hosts.pem", scratch / "hosts.key")
        self.tls = tls
        self.listen(8443, self._https)

    def _http(self, client):
        file = client.makefile("rb")
        while line := file.readline():
            headers = {}
            while header := file.readline().strip():
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = file.read(int(headers.get("content-length", 0)))
            host, path = headers.get("host"), line.split()[1].decode()
            self.requests.append((host, path, headers, isinstance(client, there.ssl.SSLSocket), body))
            client.sendall(self._answer(path, headers))

    def _answer(self, path, headers):
        if path.startswith("/to/"):
            return f"HTTP/1.1 302 Found\r\nLocation: {path[4:]}\r\nContent-Length: 0\r\n\r\n".encode()
        if "/private.git/" in path and "authorization" not in headers:
            return b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
        text = b"fine\n"
        if path.split("?")[0].endswith("/info/refs"):
            text = b"a" * 40 + b"\trefs/heads/main\n"
        if path.endswith("/HEAD"):
            text = b"ref: refs/heads/main\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text

    def header(self, path, name="authorization"):
        """Of the last request for that path; None when there was none."""
        found = [headers.get(name) for _, at, headers, *_ in self.requests if at == path]
        return found[-1] if found else None


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with there.network_namespace():
        made = Hosts(tmp_path_factory.mktemp("hosts"))
        yield made
        made.close()


def settings(hosts):
    return (*there.settings(hosts), "--network-ca-file", hosts.authority)


@pytest.fixture(scope="module")
def server(hosts, tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("secrets") / "data", settings(hosts)).start()
    yield running
    running.terminate_all()
    assert running.stop() == 0
    assert leftovers(running) == []


@pytest.fixture(scope="module")
def api(server):
    with Service(server.base_url, server.api_key) as service:
        yield service


@pytest.fixture(scope="module")
def box(api):
    """A sandbox with one secret, for good.example."""
    with api.box(**SMALL, secrets=GOOD) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(hosts):
    hosts.requests.clear()


PROGRAMS = {
    "curl": 'curl -sS --fail -H "Authorization: Bearer $KEY" https://good.example/curl',
    "urllib": """python3 -c '
import os, urllib.request as u
print(u.urlopen(u.Request("https://good.example/urllib", headers={"Authorization": "Bearer " + os.environ["KEY"]})).read())'""",
    "requests": """python3 -c '
import os
from pip._vendor import requests
session = requests.Session()
for _ in range(3):
    got = session.post("https://good.example/requests", data=b"x" * 100000, headers={"Authorization": "Bearer " + os.environ["KEY"]})
    assert got.text == "fine\\n", got.text'""",
    "node": """node -e '
fetch("https://good.example/node", {headers: {Authorization: "Bearer " + process.env.KEY}}).then(r => r.text()).then(console.log)'""",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_use_a_secret_that_they_do_not_know(api, box, hosts, program):
    assert api.output(box, "echo $KEY").startswith("sandy-secret-")
    assert "fine" in api.output(box, PROGRAMS[program], timeout=60) or program == "requests"
    assert hosts.header("/" + program) == "Bearer " + VALUE
    assert all(tls for *_, tls, _ in hosts.requests)


def test_git_uses_a_secret(api, box, hosts):
    listed = api.output(box, 'git -c http.extraHeader="Authorization: Bearer $KEY" ls-remote https://good.example/a.git')
    assert "refs/heads/main" in listed
    assert hosts.header("/a.git/info/refs?service=git-upload-pack") == "Bearer " + VALUE
    # As the password in a URL, within base64.
    listed = api.output(box, "git ls-remote https://me:$KEY@good.example/private.git")
    assert "refs/heads/main" in listed
    credentials = hosts.header("/private.git/info/refs?service=git-upload-pack")
    assert credentials == "Basic " + base64.b64encode(f"me:{VALUE}".encode()).decode()


def curl(path, more="", host="good.example", scheme="https"):
    return f'curl -sSk {more} -H "X-Key: $KEY" {scheme}://{host}{path}'


def test_only_the_hosts_of_a_secret_get_it(api, box, hosts):
    mark = api.output(box, "echo $KEY").strip()
    for host in ("other.example", "www.good.example", "bad.example"):
        api.output(box, curl("/" + host, host=host))
        assert hosts.header("/" + host, "x-key") == mark, host
    api.output(box, curl("/port", host="good.example:8443"))
    assert hosts.header("/port", "x-key") == mark
    api.output(box, curl("/plain", scheme="http"))
    assert hosts.header("/plain", "x-key") == mark
    api.output(box, curl("/good"))
    assert hosts.header("/good", "x-key") == VALUE


def test_a_secret_is_put_into_headers_only(api, box, hosts):
    mark = api.output(box, "echo $KEY").strip()
    api.output(box, 'curl -sS -d "key=$KEY" "https://good.example/q?key=$KEY"')
    _, path, _, _, body = hosts.requests[-1]
    assert path == f"/q?key={mark}" and body == f"key={mark}".encode()


def test_a_secret_does_not_follow_a_redirect_to_another_host(api, box, hosts):
    mark = api.output(box, "echo $KEY").strip()
    api.output(box, curl("/to/https://other.example/there", "-L --location-trusted"))
    assert hosts.header("/there", "x-key") == mark
    api.output(box, curl("/to/http://good.example/plain-there", "-L --location-trusted"))
    assert hosts.header("/plain-there", "x-key") == mark
    assert VALUE not in [h.get("x-key") for host, _, h, *_ in hosts.requests if host != "good.example"]


def test_plain_http_must_be_allowed(api, hosts):
    secrets = {"KEY": {"value": VALUE, "hosts": ["good.example", "*.good.example:8080"], "allowHttp": True}}
    with api.box(**SMALL, secrets=secrets) as box:
        api.output(box, curl("/a", scheme="http"))
        assert hosts.header("/a", "x-key") == VALUE
        api.output(box, curl("/b", scheme="http", host="www.good.example:8080"))
        assert hosts.header("/b", "x-key") == VALUE
        # A name that DNS does not give to that address is somebody else's.
        said = api.output(box, curl("/c", f"--resolve good.example:80:{there.OTHER}", scheme="http"))
        assert "403" in said or "forbidden" in said
        assert hosts.header("/c", "x-key") is None


def test_several_secrets_in_both_forms(api, hosts):
    secrets = [
        {"name": "A", "value": "value-a", "hosts": ["good.example"]},
        {"name": "B", "value": "value-b", "hosts": ["*.good.example"], "allow_http": False},
    ]
    with api.box(**SMALL, secrets=secrets) as box:
        for host, path in (("good.example", "/1"), ("www.good.example", "/2")):
            api.output(box, f'curl -sS -H "A: $A" -H "B: $B" https://{host}{path}')
        a, b = api.output(box, "echo $A $B").split()
        assert a != b
        assert (hosts.header("/1", "a"), hosts.header("/1", "b")) == ("value-a", b)
        assert (hosts.header("/2", "a"), hosts.header("/2", "b")) == (a, "value-b")


def test_a_host_that_cannot_prove_its_name_gets_nothing(api, hosts):
    secrets = {"KEY": {"value": VALUE, "hosts": ["cdn.example", "good.example"]}}
    with api.box(**SMALL, secrets=secrets) as box:
        said = api.output(box, curl("/untrusted", host="cdn.example"))  # its certificate is for other names
        assert "no TLS that can be trusted" in said
        said = api.output(box, curl("/elsewhere", f"--resolve good.example:443:{there.METADATA}") + " || echo refused")
        assert "refused" in said
        assert hosts.requests == []


def test_another_host_within_the_connection_is_refused(api, box, hosts):
    attempt = (
        "import os, socket, ssl\n"
        "s = ssl.create_default_context().wrap_socket(socket.create_connection(('good.example', 443)), server_hostname='good.example')\n"
        "s.sendall(b'GET /%s HTTP/1.1\\r\\nHost: %s\\r\\nX-Key: ' + os.environ['KEY'].encode() + b'\\r\\n\\r\\n')\n"
        "print(s.recv(10000).decode())\n"
    )
    api.write(box, "/workspace/a.py", attempt % ("one", "cdn.example"))
    assert "HTTP/1.1 403 Forbidden" in api.output(box, "python3 a.py")
    api.write(box, "/workspace/a.py", attempt % ("two", "good.example"))
    assert "HTTP/1.1 200" in api.output(box, "python3 a.py")
    assert [path for _, path, *_ in hosts.requests] == ["/two"]


def test_the_policy_holds_for_hosts_of_secrets(api, hosts):
    secrets = {"KEY": {"value": VALUE, "hosts": ["good.example", "www.good.example"]}}
    network = {"mode": "internet", "allow": ["www.good.example"]}
    with api.box(**SMALL, secrets=secrets, network=network) as box:
        assert api.exec(box, curl("/no", f"--resolve good.example:443:{there.PUBLIC}"))["exitCode"] != 0
        api.output(box, curl("/yes", host="www.good.example"))
        assert hosts.header("/yes", "x-key") == VALUE
        report = answer(api.http.put(f"/api/sandboxes/{box}/network", json={"mode": "none"}))
        assert VALUE not in json.dumps(report)
        assert api.exec(box, curl("/cut", host="www.good.example"))["exitCode"] != 0
    assert hosts.header("/no", "x-key") is None and hosts.header("/cut", "x-key") is None
    made = api.create(**SMALL, secrets=secrets, network="none")
    assert any("secrets" in each for each in made["warnings"]), made["warnings"]
    api.terminate(made["sandboxId"])


def test_nothing_shows_the_value(api, server, hosts, box):
    api.output(box, curl("/use"))
    shown = [api.get(box).text, api.http.get("/api/sandboxes").text, api.http.get(f"/api/sandboxes/{box}/network").text,
             api.http.get(f"/api/sandboxes/{box}/logs").text, server.log.read_text()]
    assert answer(api.get(box))["secrets"] == [
        {"name": "KEY", "hosts": ["good.example"], "allowHttp": False, "allow_http": False}]

    def search(pattern: str) -> str:
        places = "/proc/[0-9]*/environ /proc/[0-9]*/cmdline /etc /workspace /tmp /root /run /var /dev/shm"
        return api.exec(box, f"grep -rlsa --exclude-dir=sys '{pattern}' {places}")["stdout"]

    # Patterns that do not match themselves, or the search would find itself.
    assert "environ" in search("sandy-secret[-]")
    assert search("sk-the-real[-]value-7c0ffee") == ""
    for text in shown:
        assert VALUE not in text
    arguments = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True).stdout
    assert VALUE not in arguments


def test_the_authority_is_trusted_for_its_hosts_only_and_others_stay_trusted(api, box):
    api.output(box, "openssl x509 -in /etc/sandy/authority.pem -noout -text | grep -q 'DNS:good.example'")
    both = api.output(box, "grep -c BEGIN /etc/sandy/authorities.pem; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt").split()
    assert int(both[0]) == int(both[1]) + 1
    with api.box(**SMALL) as other:
        assert api.exec(other, "test -e /etc/sandy || test -n \"$SSL_CERT_FILE\"")["exitCode"] == 1


def test_what_the_creator_says_of_certificates_is_left_alone(api):
    with api.box(**SMALL, secrets=GOOD, env={"SSL_CERT_FILE": "/mine"}) as box:
        assert api.output(box, "echo $SSL_CERT_FILE $PIP_CERT") == "/mine /etc/sandy/authorities.pem\n"


def has_none(api, hosts, box, mark, path) -> None:
    """A sandbox knows neither the secret nor its placeholder, and one that was told the placeholder cannot use it."""
    assert api.output(box, "echo x$KEY") == "x\n"
    assert answer(api.get(box))["secrets"] == []
    api.output(box, f'curl -sSk -H "X-Key: {mark}" https://good.example{path}')
    assert hosts.header(path, "x-key") == mark
    places = "/proc/[0-9]*/environ /etc /workspace /root /var"
    assert api.exec(box, f"grep -rlsa 'sk-the-real[-]value-7c0ffee' {places}")["stdout"] == ""


def test_children_have_none_of_it(api, hosts):
    with api.box(**SMALL, secrets=GOOD) as box:
        mark = api.output(box, "echo $KEY").strip()
        with api.box(**SMALL, parent_sandbox_id=box) as child:
            has_none(api, hosts, child, mark, "/child")


def test_forks_and_snapshots_have_none_of_it(api, hosts):
    with api.box(**SMALL, secrets=GOOD) as box:
        mark = api.output(box, "echo $KEY | tee /workspace/kept").strip()
        image = answer(api.http.post(f"/api/sandboxes/{box}/snapshot", json={}))["name"]
        [fork] = answer(api.http.post(f"/api/sandboxes/{box}/fork", json={}))["sandboxes"]
        try:
            assert api.output(fork["sandboxId"], "cat /workspace/kept").strip() == mark  # a file like any other
            has_none(api, hosts, fork["sandboxId"], mark, "/fork")
            with api.box(**SMALL, image=image) as copy:
                has_none(api, hosts, copy, mark, "/copy")
        finally:
            api.terminate(fork["sandboxId"])
            answer(api.http.delete(f"/api/images/{image}"))
        api.output(box, curl("/original"))
        assert hosts.header("/original", "x-key") == VALUE


def test_secrets_outlive_a_kill_of_the_server_and_end_with_the_sandbox(hosts, sandyd):
    running = sandyd(*settings(hosts))
    with Service(running.base_url, running.api_key) as api:
        box = api.create(**SMALL, secrets=GOOD)["sandboxId"]
        before = api.output(box, "echo $KEY")
    running.kill()
    for each in running.data_dir.glob("sandy.db*"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    running.start()
    with Service(running.base_url, running.api_key) as api:
        assert api.output(box, "echo $KEY") == before
        assert answer(api.get(box))["secrets"][0]["name"] == "KEY"
        assert "fine" in api.output(box, PROGRAMS["curl"])
        assert hosts.header("/curl") == "Bearer " + VALUE
        stored = lambda: [each.name for each in running.data_dir.glob("sandy.db*") if VALUE.encode() in each.read_bytes()]
        assert stored() != []
        api.terminate(box)
        assert stored() == []  # while the server runs
    assert running.stop() == 0
    assert stored() == []
    running.start()


def test_a_sandbox_that_was_ready_gets_secrets_too(hosts, sandyd):
    running = sandyd(*settings(hosts), "--prewarm-count", 1, "--end-sandboxes")
    pool = lambda: running.call("GET", "/api/resources")["warmPool"]["basic"]
    wait_until(lambda: pool()["available"] >= 1, "the pool is full")
    with Service(running.base_url, running.api_key) as api:
        hits = pool()["hits"]
        box = api.create(secrets=GOOD)["sandboxId"]
        assert pool()["hits"] == hits + 1
        assert "fine" in api.output(box, PROGRAMS["curl"])
        assert hosts.header("/curl") == "Bearer " + VALUE


BAD = [
    ("text", 422), ({"KEY": "value"}, 422), ({"KEY": {"hosts": ["a.example"]}}, 422), ({"KEY": {"value": VALUE}}, 422),
    ({"KEY": {"value": 7, "hosts": ["a.example"]}}, 422), ({"KEY": {"value": VALUE, "hosts": "a.example"}}, 422),
    ({"KEY": {"value": VALUE, "hosts": []}}, 400), ({"KEY": {"value": VALUE, "hosts": ["a.example"] * 33}}, 400),
    ({"1KEY": {"value": VALUE, "hosts": ["a.example"]}}, 400), ({"A-B": {"value": VALUE, "hosts": ["a.example"]}}, 400),
    ({"KEY": {"value": "", "hosts": ["a.example"]}}, 400), ({"KEY": {"value": "x" * 16385, "hosts": ["a.example"]}}, 400),
    ({f"K{i}": {"value": VALUE, "hosts": ["a.example"]} for i in range(65)}, 400),
    ([{"value": VALUE, "hosts": ["a.example"]}], 422), ([{"name": "K", "value": VALUE, "hosts": ["a.example"]}] * 2, 400),
    *[({"KEY": {"value": f"{VALUE}{end}X: y", "hosts": ["a.example"]}}, 400) for end in ("\r\n", "\n", "\r", "\0", "\x7f")],
    ({"KEY": {"value": VALUE + " ", "hosts": ["a.example"]}}, 400),
    *[({"KEY": {"value": VALUE, "hosts": [host]}}, 400) for host in ("*", "*.com", "1.2.3.4", "[::1]", "a b", "https://a.example", "")],
]  # fmt: skip


@pytest.mark.parametrize("secrets, status", BAD)
def test_what_cannot_be_a_secret_is_refused_without_repeating_it(api, secrets, status):
    response = api.http.post("/api/sandboxes", json={**SMALL, "secrets": secrets})
    refusal(response, status)
    assert VALUE not in response.text


def test_a_name_is_either_a_variable_or_a_secret(api):
    refusal(api.http.post("/api/sandboxes", json={**SMALL, "secrets": GOOD, "env": {"KEY": "x"}}), 400)
