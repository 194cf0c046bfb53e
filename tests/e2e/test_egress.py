"""What a sandbox reaches of the world, and 20 attempts to get around its network policy. The world is one of the
test's own: no address outside this machine is contacted."""

import json
import socket
import struct

import pytest
import world as there
from leftovers import leftovers
from running_server import Server
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 256, "disk_gb": 0.2}, "ttl_seconds": 600}
ONLY_GOOD = {"mode": "internet", "allow": ["good.example", "*.good.example"]}

# What attempts use, inside a sandbox. Each function says in one word what came of it.
INSIDE = r'''
import http.client, json, socket, ssl, struct, sys, urllib.request, urllib.error
socket.setdefaulttimeout(15)

def tcp(host, port):
    return socket.create_connection((host, port))

def exchange(host, port, data, size=65536):
    """What comes back, to its end or until nothing comes."""
    got = b""
    try:
        with tcp(host, port) as s:
            s.sendall(data)
            while len(got) < size and (piece := s.recv(65536)):
                got += piece
    except ConnectionResetError:
        return "reset" if not got else got.decode("latin1") + " reset"
    except TimeoutError:
        return "silent" if not got else got.decode("latin1")
    return got.decode("latin1") or "closed"

def http_get(host, port=80, name=None, path="/"):
    return exchange(host, port, f"GET {path} HTTP/1.1\r\nHost: {name or host}\r\nConnection: close\r\n\r\n".encode(), 200)

def follow(url):
    try:
        return urllib.request.urlopen(url).status
    except urllib.error.HTTPError as refused:
        return refused.code

def tls(host, sni, port=443, then=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with tcp(host, port) as s, context.wrap_socket(s, server_hostname=sni) as secure:
            secure.sendall(f"GET / HTTP/1.1\r\nHost: {then or sni}\r\n\r\n".encode())
            return secure.recv(1000).decode("latin1")
    except ssl.SSLError as error:
        return "alert: " + str(error.reason)
    except OSError as error:
        return "error: " + type(error).__name__

def lookup(name, family=0):
    try:
        return sorted({each[4][0] for each in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)})
    except socket.gaierror as error:
        return "no: " + error.args[1]

def question(name, kind=1):
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return struct.pack("!HHHHHH", 77, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)

def ask(server, name, kind=1, stream=False):
    """(code, number of answers)"""
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((server, 53))
        message = question(name, kind)
        s.sendall(struct.pack("!H", len(message)) + message if stream else message)
        reply = s.recv(4096)
        if stream:
            while len(reply) < 14:
                reply += s.recv(4096)
            reply = reply[2:]
        assert reply[:2] == message[:2]
        return reply[3] & 15, struct.unpack("!H", reply[6:8])[0]
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with there.network_namespace():
        made = there.World(tmp_path_factory.mktemp("world"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def server(world, tmp_path_factory):
    """A server in that world."""
    running = Server(tmp_path_factory.mktemp("e") / "data", there.settings(world))
    running.start()
    yield running
    running.terminate_all()
    assert leftovers(running) == []
    assert running.stop() == 0
    assert leftovers(running) == []


@pytest.fixture(scope="module")
def api(server):
    with Service(server.base_url, server.api_key) as service:
        yield service


@pytest.fixture
def run(api, world):
    """Makes a sandbox with a network and gives a function that evaluates Python in it, with the helpers above."""
    boxes = []

    def make(network=None, **body):
        box = api.create(**{**SMALL, **({"network": network} if network is not None else {}), **body})["sandboxId"]
        boxes.append(box)
        return evaluator(api, box)

    world.came.clear()
    world.names.asked.clear()
    yield make
    for box in boxes:
        api.terminate(box)


def evaluator(api, box):
    api.write(box, "/workspace/inside.py", INSIDE)

    def evaluate(expression: str):
        api.write(box, "/workspace/attempt.py", f"from inside import *\nprint(json.dumps({expression}))\n")
        return json.loads(api.output(box, "python3 attempt.py", timeout=60))

    evaluate.box = box
    return evaluate


# -- what works


def test_a_sandbox_reaches_the_public_internet_by_default(run, world):
    inside = run()
    assert inside("lookup('good.example')") == sorted([there.PUBLIC, there.PUBLIC6])
    assert "hello good.example /" in inside("http_get('good.example')")
    assert "hello good.example /" in inside("tls('good.example', 'good.example')")
    assert inside("exchange('other.example', 9000, b'ping', 4)") == "ping"
    assert "hello" in inside(f"http_get('{there.PUBLIC6}', 80, 'good.example')")
    assert world.reached(there.PUBLIC6, 80)


def test_a_name_may_have_another_name_and_a_long_answer(run):
    inside = run()
    assert inside("lookup('alias.good.example', socket.AF_INET)") == [there.PUBLIC]
    assert inside("lookup('big.example', socket.AF_INET)") == [there.PUBLIC]


def test_only_named_hosts_are_reached(run, world):
    inside = run(ONLY_GOOD)
    assert "hello good.example /" in inside("http_get('good.example')")
    assert "hello www.good.example /" in inside("http_get('www.good.example')")
    assert "hello www.good.example" in inside("tls('www.good.example', 'www.good.example')")
    assert inside("lookup('bad.example')").startswith("no:")
    assert not world.names.asked_for("bad.example")
    # Protocols that name no host: the address was an answer for a host that is allowed.
    assert inside("exchange('good.example', 9000, b'ping\\n', 5)") == "ping\n"
    assert inside("exchange('good.example', 25, b'', 13)") == "220 welcome\r\n"


def test_what_is_sent_and_received_is_shown_and_bounded(run, api):
    inside = run({"mode": "internet", "maxBytes": 3_000_000})
    assert inside("len(http_get('good.example', path='/bytes/1000000') + '')") > 0
    inside("len(exchange('good.example', 80, b'GET /bytes/1000000 HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n', 1000020))")
    usage = answer(api.http.get(f"/api/sandboxes/{inside.box}/network"))["usage"]
    assert usage["receivedBytes"] >= 1_000_000 and usage["sentBytes"] > 0 and usage["connections"] == 2
    assert "reset" in inside("exchange('good.example', 80, b'GET /bytes/9000000 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n', 9000020)[-5:]")
    usage = answer(api.http.get(f"/api/sandboxes/{inside.box}/network"))["usage"]
    assert usage["spent"] and usage["receivedBytes"] < 3_200_000
    assert "403" in first(inside("http_get('good.example')"))


def test_modes(run, world):
    nothing = run("none")
    assert nothing("lookup('good.example')").startswith("no:")
    assert "403" in first(nothing(f"http_get('{there.PUBLIC}')"))
    assert nothing(f"exchange('{there.PUBLIC}', 9000, b'ping\\n')") == "reset"
    assert "200" in first(nothing("http_get('127.0.0.1', 7330, path='/api/health')"))
    platform = run("platform")
    assert "403" in first(platform(f"http_get('{there.PUBLIC}')"))
    assert world.came == []


def test_the_platform_is_reached_by_its_names(world, sandyd):
    running = sandyd("--platform-relay", "127.0.0.1:8080", "--network-max-mode", "platform")
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        assert api.get(box).json()["network"]["mode"] == "platform"
        inside = evaluator(api, box)
        for name in ("platform", "platform-proxy"):
            assert f"hello {name} /" in inside(f"http_get('{name}', 8000)")
        assert inside("exchange('platform', 80, b'x')") == "reset"
        with api.box(**SMALL, network="internet") as other:
            assert api.get(other).json()["network"]["mode"] == "platform"
        assert refusal(api.http.put(f"/api/sandboxes/{box}/network", json={"mode": "internet"}), 403)
        answer(api.http.put(f"/api/sandboxes/{box}/network", json={"mode": "none"}))
        assert "403" in first(inside("http_get('192.0.0.8', 8000)"))


def test_the_platform_is_told_which_sandbox_calls(world, sandyd):
    came = []

    def serve(client):
        head = client.recv(16, socket.MSG_WAITALL)
        came.append(head + client.recv(struct.unpack("!H", head[14:])[0], socket.MSG_WAITALL))
        client.sendall(client.recv(4))

    world.listen(8082, serve)
    running = sandyd("--platform-relay", "127.0.0.1:8082", "--platform-relay-named")
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        assert evaluator(api, box)("exchange('platform', 8000, b'ping', 4)") == "ping"
    signature, rest = came[0][:12], came[0][12:]
    assert signature == b"\r\n\r\n\0\r\nQUIT\n" and rest[:2] == b"\x21\x11"
    assert rest[8:12] == socket.inet_aton("192.0.0.8") and rest[14:16] == struct.pack("!H", 8000)
    assert rest[16:] == b"\x05" + struct.pack("!H", len(box)) + box.encode()


# -- 20 attempts


def first(text):
    return text.split("\r\n")[0]


def test_1_by_the_address_alone(run, world):
    inside = run(ONLY_GOOD)
    assert "403" in first(inside(f"http_get('{there.FORBIDDEN}')"))
    assert inside(f"tls('{there.FORBIDDEN}', None)").startswith("alert")
    assert inside(f"exchange('{there.FORBIDDEN}', 9000, b'ping\\n')") == "reset"
    assert not world.reached(there.FORBIDDEN)


def test_2_by_a_name_that_leads_to_a_private_address(run, world):
    inside = run()
    for name in ("rebind.example", "metadata.example", "loop.example"):
        assert isinstance(inside(f"lookup('{name}')"), str), name
    assert inside("lookup('mixed.example')") == [there.PUBLIC]
    assert not world.reached(there.PRIVATE)


def test_3_by_a_name_in_the_hello_that_is_allowed(run, world):
    inside = run(ONLY_GOOD)
    inside("lookup('good.example')")
    assert inside(f"tls('{there.FORBIDDEN}', 'good.example')").startswith("alert")
    assert inside(f"http_get('{there.FORBIDDEN}', 80, 'good.example')").startswith("HTTP/1.1 403")
    assert not world.reached(there.FORBIDDEN)
    # The address is right, the name is another one of the same server.
    assert inside(f"tls('{there.PUBLIC}', 'cdn.example')").startswith("alert")
    assert "403" in first(inside(f"http_get('{there.PUBLIC}', 80, 'cdn.example')"))
    assert not world.reached(there.PUBLIC)


def test_4_by_another_host_in_the_second_request(run):
    inside = run(ONLY_GOOD)
    two = "b'GET /1 HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\nGET /2 HTTP/1.1\\r\\nHost: cdn.example\\r\\n\\r\\n'"
    got = inside(f"exchange('good.example', 80, {two})")
    assert "cdn.example" not in got and "/2" not in got


@pytest.mark.parametrize("first_target", ["/1", "/to-metadata"])
def test_4_by_another_host_behind_an_upgrade(run, first_target):
    inside = run(ONLY_GOOD)
    upgrade = f"GET {first_target} HTTP/1.1\\r\\nHost: good.example\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n"
    other = "GET /2 HTTP/1.1\\r\\nHost: cdn.example\\r\\n\\r\\n"
    got = inside(f"exchange('good.example', 80, b'{upgrade}{other}')")
    assert "cdn.example" not in got and "/2" not in got
    plain = f"GET /1 HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\n"
    got = inside(f"exchange('good.example', 80, b'{plain}{upgrade}{other}')")
    assert "cdn.example" not in got and "/2" not in got


def test_5_by_names_that_carry_data(run, world):
    inside = run(ONLY_GOOD)
    for kind in (1, 28, 16, 5, 10, 65):
        assert inside(f"ask('127.83.255.253', 'c2VjcmV0.tunnel.example', {kind})")[0] == 3
    assert inside("ask('127.83.255.253', 'c2VjcmV0.good.example', 16)") == [0, 0]
    assert world.names.asked == []


MANY_HELLOS = """
import socket, ssl
def hello(name):
    came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(came, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
hellos = [hello(f"x{number}.silent.example") for number in range(100)]
sockets = []
for each in hellos:
    sockets.append(socket.create_connection(("%s", 443)))
    sockets[-1].sendall(each)
for each in sockets:
    try:
        each.recv(100)
    except ConnectionResetError:
        pass
"""


def test_5_by_names_in_many_hellos(run, api, world):
    inside = run({"mode": "internet", "allow": ["*.silent.example"]})
    api.write(inside.box, "/workspace/many.py", MANY_HELLOS % there.PUBLIC)
    api.output(inside.box, "python3 many.py", timeout=60)
    # 32 at a time, which take seconds to fail; the second half is for a slow machine.
    assert 0 < len({name for name, _ in world.names.asked}) <= 64
    assert not world.reached(there.PUBLIC)


def test_6_by_another_name_server(run, world):
    inside = run(ONLY_GOOD)
    for server in ("8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", there.PUBLIC):
        assert inside(f"ask('{server}', 'bad.example')") == [3, 0], server
        assert inside(f"ask('{server}', 'good.example')") == [0, 1], server
    assert not world.names.asked_for("bad.example")


def test_7_by_asking_for_names_by_tcp(run, world):
    inside = run(ONLY_GOOD)
    for server in ("8.8.8.8", "127.83.255.253"):
        assert inside(f"ask('{server}', 'bad.example', stream=True)") == [3, 0]
        assert inside(f"ask('{server}', 'good.example', stream=True)") == [0, 1]
    assert not world.names.asked_for("bad.example")


@pytest.mark.parametrize("address", ["::ffff:169.254.169.254", "::ffff:10.1.2.3", "::ffff:127.0.0.1", "::ffff:8.8.4.4"])
def test_8_by_ipv4_within_ipv6(run, world, address):
    inside = run()
    got = inside(f"exchange('{address}', 9000, b'ping\\n') if '127.0' not in '{address}' else 'reset'")
    assert got == "reset"
    assert world.came == []


def test_9_by_ipv6(run, world):
    inside = run(ONLY_GOOD)
    assert "403" in first(inside(f"http_get('{there.PUBLIC6}', 80, 'bad.example')"))
    assert inside("exchange('fd00:ec2::254', 9000, b'ping\\n')") == "reset"
    assert world.came == []


@pytest.mark.parametrize("address", ["2002:a01:203::1", "64:ff9b::a01:203"])
def test_10_by_ipv6_that_stands_for_ipv4(run, world, address):
    assert run()(f"exchange('{address}', 9000, b'ping\\n')") == "reset"
    assert world.came == []


def test_11_by_a_redirect_to_the_metadata(run, world):
    inside = run()
    assert "302" in first(inside("http_get('good.example', path='/to-metadata')"))
    assert inside("follow('http://good.example/to-metadata')") == 403
    assert not world.reached(there.METADATA)


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0x7f.1", "10.66051"])
def test_12_by_other_ways_to_write_an_address(run, world, host):
    inside = run()
    got = inside(f"lookup('{host}')")
    if isinstance(got, list) and not got[0].startswith("127."):
        assert inside(f"exchange('{host}', 9000, b'ping\\n')") == "reset"
    assert world.came == []
    # As the host of a request, too.
    limited = run(ONLY_GOOD)
    assert "403" in first(limited(f"http_get('good.example', 80, '{host}')"))


def test_13_by_connect(run, world):
    inside = run(ONLY_GOOD)
    request = "b'CONNECT bad.example:443 HTTP/1.1\\r\\nHost: bad.example:443\\r\\n\\r\\n'"
    assert "403" in first(inside(f"exchange('good.example', 8080, {request})"))
    request = "b'CONNECT bad.example:443 HTTP/1.1\\r\\nHost: good.example:8080\\r\\n\\r\\n'"
    assert "403" in first(inside(f"exchange('good.example', 8080, {request})"))


@pytest.mark.parametrize("target", ["http://bad.example/", "http://good.example@bad.example/", "HTTP://cdn.example"])
def test_14_by_a_whole_url_in_the_request(run, target):
    inside = run(ONLY_GOOD)
    request = f"b'GET {target} HTTP/1.1\\r\\nHost: good.example\\r\\n\\r\\n'"
    got = inside(f"exchange('good.example', 80, {request})")
    assert "403" in first(got) and "hello" not in got


@pytest.mark.parametrize(
    "host", ["good.example@bad.example", "bad.example#good.example", "good.example:80@bad.example", "good.example/bad.example",
             "good.example bad.example", "good.example,bad.example", "bad.example\\r\\nHost: good.example", "notgood.example", "good.example.bad.example"])
def test_15_by_a_host_that_reads_two_ways(run, host):
    inside = run(ONLY_GOOD)
    got = inside(f"exchange('good.example', 80, b'GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n')")
    assert "403" in first(got) and "hello" not in got


def test_15_a_last_dot_and_capitals_change_nothing(run, world):
    inside = run({"mode": "internet", "deny": ["bad.example"]})
    for name in ("bad.example", "bad.example.", "BAD.Example", "bAd.eXample."):
        assert isinstance(inside(f"lookup('{name}')"), str), name
        assert inside(f"tls('{there.FORBIDDEN}', '{name}')").startswith("alert"), name
        assert "403" in first(inside(f"http_get('{there.FORBIDDEN}', 80, '{name}')")), name
    assert "hello GOOD.example. /" in inside("http_get('good.example', 80, 'GOOD.example.')")
    assert not world.reached(there.FORBIDDEN)


def test_16_by_datagrams_and_echo_requests(run, world):
    inside = run()
    attempt = (
        "(lambda s: [s.connect(('%s', 9000)), s.send(b'x'), 'sent'][2])(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))" % there.PUBLIC
    )
    assert inside(attempt) == "sent"
    assert not world.datagram_came()
    raw = "(lambda: [socket.socket(socket.AF_INET, kind, 1) for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM)])()"
    assert "PermissionError" in api_error(inside, raw)


def api_error(inside, expression):
    try:
        inside(expression)
    except AssertionError as failed:
        return str(failed)
    return ""


def test_17_by_a_scan_of_the_machine(run, world, server):
    inside = run()
    for port in (22, 80, 443, 9000):
        assert inside(f"exchange('{there.MACHINE}', {port}, b'ping\\n') in ('reset', 'closed')"), port
    api_port = int(server.base_url.rsplit(":", 1)[1])
    for address in (there.MACHINE, there.PRIVATE, there.CARRIER, "192.168.7.7", "198.18.0.1"):
        assert "403" in first(inside(f"http_get('{address}', {api_port}, path='/api/health')")), address
    assert world.came == []


def test_18_by_the_loopback_addresses_of_the_machine(run, world, server):
    inside = run()
    api_port = int(server.base_url.rsplit(":", 1)[1])
    for address in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "::1"):
        assert inside(f"'refused' if socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET).connect_ex(('{address}', {api_port})) else 'open'") == "refused"
    assert world.came == []


def test_18_by_another_sandbox(run, api):
    one, other = run(), run()
    listener = "import socket\ns = socket.create_server(('0.0.0.0', 4000))\nopen('/workspace/up', 'w')\ns.accept()[0].sendall(b'other')\n"
    api.write(other.box, "/workspace/listen.py", listener)
    api.start(other.box, "python3 listen.py")
    wait_until(lambda: api.read(other.box, "/workspace/up").status_code == 200, "a listener", 20)
    for address in ("127.0.0.1", "127.83.0.1", "0.0.0.0"):
        assert one(f"socket.socket().connect_ex(('{address}', 4000))") != 0
    for address in (there.PUBLIC, there.PRIVATE, "192.168.7.7"):
        assert one(f"exchange('{address}', 4000, b'x')") in ("reset", "closed")


def test_19_after_the_policy_changed(run, api, world):
    inside = run()
    keep = (
        "import socket\ns = socket.create_connection(('other.example', 9000))\ns.sendall(b'a'); s.recv(1)\n"
        "open('/workspace/open', 'w')\ns.settimeout(60)\n"
        "try:\n    print('cut' if s.recv(1) == b'' else 'data')\nexcept ConnectionResetError:\n    print('cut')\n"
    )
    api.write(inside.box, "/workspace/keep.py", keep)
    job = api.start(inside.box, "python3 keep.py > result")
    wait_until(lambda: api.read(inside.box, "/workspace/open").status_code == 200, "a connection", 20)
    report = answer(api.http.put(f"/api/sandboxes/{inside.box}/network", json=ONLY_GOOD))
    assert report["allow"] == ONLY_GOOD["allow"] and report["mode"] == "internet"
    wait_until(lambda: api.read(inside.box, "/workspace/result").json().get("content") == "cut\n", "the end of the connection", 20)
    assert job and isinstance(inside("lookup('other.example')"), str)
    assert "hello" in inside("http_get('good.example')")
    # By its own token a sandbox makes it stricter only.
    change = "python3 -c \"import os, urllib.request as u; r = u.Request(os.environ['SANDY_BASE_URL'] + '/api/sandboxes/' + os.environ['SANDY_SANDBOX_ID'] + '/network', method='PUT', data=b'%s', headers={'Authorization': 'Bearer ' + os.environ['SANDY_API_KEY']}); print(u.urlopen(r).status)\""
    for wider in ('{\\"mode\\": \\"internet\\"}', '{\\"allow\\": [\\"*.example\\"]}'):
        assert api.exec(inside.box, change % wider)["exitCode"] != 0
    assert api.output(inside.box, change % '{\\"mode\\": \\"internet\\", \\"allow\\": [\\"www.good.example\\"]}') == "200\n"
    assert isinstance(inside("lookup('good.example')"), str)
    assert inside("lookup('www.good.example')") == [there.PUBLIC]


def test_a_connection_goes_by_the_names_that_it_was_judged_by(run, api, world):
    inside = run({"mode": "internet", "allow": ["other.example", "*.many.example"]})
    keep = (
        "import socket, os\nos.mkfifo('/workspace/go')\ns = socket.create_connection(('other.example', 9000))\n"
        "s.sendall(b'\\0'); s.recv(1)\nopen('/workspace/open', 'w')\nopen('/workspace/go').read()\n"
        "try:\n    s.sendall(b'b'); print(s.recv(1))\nexcept OSError:\n    print('cut')\n"
    )
    api.write(inside.box, "/workspace/keep.py", keep)
    api.start(inside.box, "python3 keep.py > result")
    wait_until(lambda: api.read(inside.box, "/workspace/open").status_code == 200, "a connection", 20)
    # The address gets so many other names that the first is forgotten.
    assert inside("[lookup(f'n{number}.many.example') for number in range(20)][-1]") == [there.OTHER]
    answer(api.http.put(f"/api/sandboxes/{inside.box}/network", json={"allow": ["other.example"]}))
    api.output(inside.box, "echo > /workspace/go")
    wait_until(lambda: api.read(inside.box, "/workspace/result").json().get("content"), "the end of the connection", 20)
    assert api.read(inside.box, "/workspace/result").json()["content"] == "b'b'\n"


def test_19_by_a_child(run, api, world):
    parent = run({"mode": "internet", "allow": ["good.example"]})
    child = run("internet", parent_sandbox_id=parent.box)
    assert "hello" in child("http_get('good.example')")
    assert isinstance(child("lookup('bad.example')"), str)
    assert "403" in first(child(f"http_get('{there.FORBIDDEN}')"))
    answer(api.http.put(f"/api/sandboxes/{parent.box}/network", json={"mode": "none"}))
    assert isinstance(child("lookup('good.example')"), str)
    assert "403" in first(child(f"http_get('{there.PUBLIC}', 80, 'good.example')"))
    assert not world.reached(there.FORBIDDEN)


def test_20_after_the_server_was_killed(world, sandyd):
    running = sandyd(*there.settings(world))
    world.came.clear()
    with Service(running.base_url, running.api_key) as api:
        limited = api.create(**SMALL, network=ONLY_GOOD)["sandboxId"]
        parent = api.create(**SMALL)["sandboxId"]
        child = api.create(**SMALL, parent_sandbox_id=parent)["sandboxId"]
        answer(api.http.put(f"/api/sandboxes/{parent}/network", json={"deny": ["bad.example"]}))
    running.kill()
    running.start()
    with Service(running.base_url, running.api_key) as api:
        inside = evaluator(api, limited)
        assert api.get(limited).json()["network"]["allow"] == ONLY_GOOD["allow"]
        assert "hello" in inside("http_get('good.example')")
        assert "403" in first(inside(f"http_get('{there.FORBIDDEN}')"))
        assert isinstance(inside("lookup('other.example')"), str)
        younger = evaluator(api, child)
        assert isinstance(younger("lookup('bad.example')"), str)
        assert "hello" in younger("http_get('other.example')")
    assert not world.reached(there.FORBIDDEN)


def test_what_is_wrong_is_said(api):
    with api.box(**SMALL) as box:
        for body in ({"mode": "all"}, {"allow": "x"}, {"allow": ["http://x"]}, {"deny": ["10.0.0.0/33"]}, {"allow": ["*"]}, {"max_bytes": "many"}, {"network": 7}):
            refusal(api.http.put(f"/api/sandboxes/{box}/network", json=body), (400, 422))
        refusal(api.http.post("/api/sandboxes", json={**SMALL, "network": {"allow": ["1.2.3"]}}), 400)


def test_what_the_operator_says_holds_for_all(world, sandyd):
    running = sandyd(
        "--network-dns", f"127.0.0.1:{world.names.port}", "--network-deny", "bad.example,93.184.216.35",
        "--network-private-allow", f"{there.PRIVATE}:80,127.0.0.0/8",
    )
    world.came.clear()
    with Service(running.base_url, running.api_key) as api, api.box(**SMALL) as box:
        inside = evaluator(api, box)
        assert "hello" in inside("http_get('rebind.example')")  # a mirror inside
        assert "403" in first(inside(f"http_get('{there.PRIVATE}', 8080)"))
        assert "403" in first(inside(f"http_get('{there.OTHER}')"))
        assert isinstance(inside("lookup('bad.example')"), str)
        assert "403" in first(inside(f"http_get('{there.METADATA}')"))
        assert isinstance(inside("lookup('other-loop.example')"), str)  # the machine's own, whatever is opened
    assert {each for each, _ in world.came} == {there.PRIVATE}
