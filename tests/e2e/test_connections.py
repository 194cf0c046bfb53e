"""Connections between sandboxes: one reaches the other's ports by its name, in one direction, as long as both live."""

import hashlib
import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from leftovers import leftovers
from service import Service, answer, refusal
from waiting import wait_until

SMALL = {"resources": {"memory_mb": 256, "disk_gb": 0.2}, "ttl_seconds": 600}

# Listens, counts what it gets until the other side stops sending, and answers with length and digest.
COUNTER = """
import hashlib, socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
def serve(client):
    digest, size = hashlib.sha256(), 0
    while piece := client.recv(65536):
        digest.update(piece)
        size += len(piece)
    client.sendall(f"{size} {digest.hexdigest()}".encode())
    client.close()
open("counting", "w")
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

# Sends so many bytes on so many connections at a time, and says how often the answer was right.
SENDER = """
import hashlib, random, socket, sys
from concurrent.futures import ThreadPoolExecutor
name, port, size, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
def send(seed):
    data = random.Random(seed).randbytes(size)
    with socket.create_connection((name, port), timeout=60) as server:
        server.sendall(data)
        server.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := server.recv(65536):
            answer += piece
    return answer.decode() == f"{size} {hashlib.sha256(data).hexdigest()}"
with ThreadPoolExecutor(times) as pool:
    print("exact:", sum(pool.map(send, range(times))))
"""


# Sends for ever, not too fast.
ENDLESS = """
import socket, threading, time
server = socket.create_server(("127.0.0.1", 5000))
def send(client):
    while True:
        client.sendall(bytes(65536))
        time.sleep(0.01)
while True:
    threading.Thread(target=send, args=(server.accept()[0],), daemon=True).start()
"""

# Takes what comes, writes down how much, and at last how it ended.
TAKE = """
import pathlib, socket, sys
size, ending = 0, "end"
try:
    with socket.create_connection((sys.argv[1], 5000)) as server:
        while piece := server.recv(65536):
            size += len(piece)
            pathlib.Path(f"got-{sys.argv[1]}").write_text(str(size))
except ConnectionResetError:
    ending = "reset"
pathlib.Path(f"ended-{sys.argv[1]}").write_text(ending)
"""


def connect(api, source, target):
    return answer(api.http.post(f"/api/sandboxes/{source}/connect", json={"target": target}))


def connections(api, box) -> set:
    listed = answer(api.http.get(f"/api/sandboxes/{box}/connections"))
    assert listed["total"] == len(listed["connections"])
    return {(each["source"], each["target"], each["direction"]) for each in listed["connections"]}


def serve(api, box, port=3000, host="127.0.0.1", content="hello"):
    """An HTTP server inside."""
    api.write(box, f"www{port}/index.html", content)
    api.start(box, f"cd www{port} && exec python3 -m http.server --bind {host} {port}")
    here = f"[{host}]" if ":" in host else host
    wait_until(lambda: api.exec(box, f"curl -sg http://{here}:{port}/")["exitCode"] == 0, "it serves")


def fetch(api, box, name, port=3000) -> str:
    """What curl inside gets from another sandbox; the reason in words when it gets nothing."""
    done = api.exec(box, f"curl -sS --max-time 20 http://{name}:{port}/")
    return done["stdout"] if done["exitCode"] == 0 else f"curl: {done['stderr']}"


def reaches(api, box, name, port=3000) -> bool:
    return fetch(api, box, name, port) == "hello"


@pytest.fixture
def pair(api):
    """The API and two sandboxes of one owner."""
    with api.box(**SMALL) as first, api.box(**SMALL) as second:
        yield api, first, second


def test_a_connected_sandbox_is_reached_by_its_name_in_one_direction(pair):
    api, first, second = pair
    serve(api, second)
    serve(api, first)
    assert not reaches(api, first, second)
    made = connect(api, first, second)
    assert made["name"] == second and made["direction"] == "outbound" and made["createdAt"]
    assert made["address"].startswith("127.")
    assert reaches(api, first, second)
    assert reaches(api, first, made["address"])
    assert not reaches(api, second, first)
    assert connections(api, first) == {(first, second, "outbound")}
    assert connections(api, second) == {(first, second, "inbound")}
    assert connect(api, first, second) == made  # again is the same

    connect(api, second, first)
    assert reaches(api, second, first) and reaches(api, first, second)
    assert answer(api.http.post(f"/api/sandboxes/{first}/disconnect", json={"targetId": second}))["ok"]
    assert not reaches(api, first, second) and reaches(api, second, first)
    assert answer(api.http.delete(f"/api/sandboxes/{second}/connect/{first}"))["ok"]
    assert not reaches(api, second, first)
    assert answer(api.http.delete(f"/api/sandboxes/{second}/connect/{first}"))["ok"]  # as before
    assert connections(api, first) == connections(api, second) == set()


def test_every_port_and_family_of_the_target_is_reached(pair):
    api, first, second = pair
    connect(api, first, second)
    for port, host in ((80, "0.0.0.0"), (8080, "::1"), (54321, "::")):
        serve(api, second, port, host)
        assert reaches(api, first, second, port), (port, host)
    assert "curl:" in fetch(api, first, second, 9)  # nothing listens there
    # The API inside the target is for the target alone: there, who comes without a name is taken for it.
    assert "curl:" in fetch(api, first, second, 7330)
    # What it reaches of its own is as before.
    serve(api, first, 3000, "0.0.0.0")
    assert reaches(api, first, "127.0.0.1") and reaches(api, first, "localhost")
    assert "curl:" in fetch(api, first, second)


def test_what_somebody_wrote_into_the_hosts_file_stays(pair):
    api, first, second = pair
    serve(api, second)
    api.output(first, "printf '127.0.0.9 mine # my own\\nno newline at the end' >> /etc/hosts")
    before = api.output(first, "cat /etc/hosts")
    connect(api, first, second)
    changed = api.output(first, "cat /etc/hosts")
    assert changed.startswith(before) and second in changed
    assert api.output(first, "stat -c %a /etc/hosts") == "644\n"
    # Edited away, it comes back with the next wish.
    api.output(first, "echo '127.0.0.1 localhost' > /etc/hosts")
    connect(api, first, second)
    assert reaches(api, first, second)
    answer(api.http.delete(f"/api/sandboxes/{first}/connect/{second}"))
    assert api.output(first, "cat /etc/hosts") == "127.0.0.1 localhost\n"


def test_a_hosts_file_that_is_none_is_left_alone_and_said(pair):
    api, first, second = pair
    api.output(first, "rm /etc/hosts && mkdir /etc/hosts")
    refused = api.http.post(f"/api/sandboxes/{first}/connect", json={"target": second})
    assert refused.status_code == 400, refused.text
    assert connections(api, first) == set()
    api.output(first, "rmdir /etc/hosts")
    serve(api, second)
    connect(api, first, second)
    assert reaches(api, first, second)


def test_transfers_are_exact_both_ways_and_at_once(pair):
    api, first, second = pair
    api.write(second, "count.py", COUNTER)
    api.start(second, "python3 count.py 4000")
    api.write(first, "send.py", SENDER)
    wait_until(lambda: api.exec(second, "test -e counting")["exitCode"] == 0, "it listens")
    connect(api, first, second)
    assert api.output(first, f"python3 send.py {second} 4000 50000000 1") == "exact: 1\n"
    # The other way: the target sends, the source takes.
    content = secrets.token_bytes(20_000_000)
    answer(api.http.put(f"/api/sandboxes/{second}/files", params={"path": "www/big"}, content=content))
    api.start(second, "cd www && exec python3 -m http.server --bind 127.0.0.1 3000")
    got = f"curl -sS --retry 20 --retry-all-errors --retry-delay 1 http://{second}:3000/big | sha256sum"
    assert api.output(first, got).split()[0] == hashlib.sha256(content).hexdigest()
    assert api.output(first, f"python3 send.py {second} 4000 100000 100") == "exact: 100\n"


def test_one_more_socket_than_allowed_is_reset_and_the_rest_go_on(pair):
    api, first, second = pair
    api.write(second, "count.py", COUNTER)
    api.start(second, "python3 count.py 4000")
    wait_until(lambda: api.exec(second, "test -e counting")["exitCode"] == 0, "it listens")
    connect(api, first, second)
    script = f"""
import select, socket
def connected():
    try:
        return socket.create_connection(("{second}", 4000), timeout=20)
    except ConnectionResetError: # already before it knew that it was connected
        return None
tries = [connected() for _ in range(300)]
made = [each for each in tries if each]
waiting = select.poll()
for each in made:
    waiting.register(each, select.POLLIN)
while len(waiting.poll(1000)) < len(made) - 256: # nobody was sent anything: those were reset
    pass
def answer(each):
    try:
        each.sendall(b"x")
        each.shutdown(socket.SHUT_WR)
        return each.recv(100)[:2]
    except OSError:
        return b"-"
answers = [answer(each) for each in made]
print(answers.count(b"1 "), answers.count(b"-") + tries.count(None))
"""
    api.write(first, "many.py", script)
    assert api.output(first, "python3 many.py", timeout=60) == "256 44\n"
    api.write(first, "send.py", SENDER)
    assert api.output(first, f"python3 send.py {second} 4000 1000 1") == "exact: 1\n"


@pytest.mark.parametrize("end", ["disconnect", "target", "source"])
def test_open_transfers_are_cut_when_the_connection_ends(sandyd, end):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        first, second, bystander = (api.create(**SMALL)["id"] for _ in range(3))
        for box in (second, bystander):
            api.write(box, "endless.py", ENDLESS)
            api.start(box, "python3 endless.py")
            wait_until(lambda: answer(api.http.post(f"/api/sandboxes/{box}/preview", json={"port": 5000}))["ready"], "it listens")
            connect(api, first, box)
        api.write(first, "take.py", TAKE)
        for box in (second, bystander):
            api.start(first, f"python3 take.py {box}")
            wait_until(lambda: api.exec(first, f"test -s got-{box}")["exitCode"] == 0, "bytes flow")
        if end == "disconnect":
            answer(api.http.delete(f"/api/sandboxes/{first}/connect/{second}"))
        else:
            answer(api.terminate(second if end == "target" else first))
        if end != "source":
            wait_until(lambda: api.exec(first, f"test -s ended-{second}")["exitCode"] == 0, "it is cut")
            assert api.output(first, f"cat ended-{second}") == "reset"  # never a made-up end
            size = f"cat got-{bystander}"
            before = api.output(first, size)
            wait_until(lambda: api.output(first, size) != before, "the other goes on")
            assert api.exec(first, f"test -e ended-{bystander}")["exitCode"] != 0
            assert second not in api.output(first, "cat /etc/hosts")
            assert connections(api, first) == {(first, bystander, "outbound")}
        for box in (first, second, bystander):
            api.terminate(box)
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_connections_survive_a_killed_server(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api:
        first, second, third = (api.create(**SMALL)["id"] for _ in range(3))
        serve(api, second)
        serve(api, third)
        made = connect(api, first, second)
        connect(api, first, third)
        assert reaches(api, first, second)
    server.kill()
    server.start()
    with Service(server.base_url, server.api_key) as api:
        listed = answer(api.http.get(f"/api/sandboxes/{first}/connections"))["connections"]
        assert made in listed and len(listed) == 2
        assert reaches(api, first, second) and reaches(api, first, third)
        answer(api.http.delete(f"/api/sandboxes/{first}/connect/{third}"))
        assert not reaches(api, first, third)
    server.kill()
    server.start()
    with Service(server.base_url, server.api_key) as api:
        assert connections(api, first) == {(first, second, "outbound")}
        assert reaches(api, first, second) and not reaches(api, first, third)
        answer(api.terminate(second))
        assert connections(api, first) == set()
    server.kill()
    server.start()
    with Service(server.base_url, server.api_key) as api:
        assert connections(api, first) == set()
        for box in (first, third):
            answer(api.terminate(box))
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_wishes_that_cannot_be_granted_say_why(sandyd, tmp_path):
    config = tmp_path / "sandy.toml"
    config.write_text('sandbox_connections = 2\n[[api_keys]]\ntenant = "other"\nkey = "sk-another-tenants-key"\n')
    server = sandyd("--config", config)
    with Service(server.base_url, server.api_key) as api, Service(server.base_url, "sk-another-tenants-key") as other:
        first, second, third, gone = (api.create(**SMALL)["id"] for _ in range(4))
        theirs = other.create(**SMALL)["id"]
        answer(api.terminate(gone))

        def refused(source, body, status, who=api):
            return refusal(who.http.post(f"/api/sandboxes/{source}/connect", json=body), status)

        for unknown in (theirs, gone, "0" * 24, "nonsense"):
            assert refused(first, {"target": unknown}, 404) == "Sandbox not found"
            assert refused(unknown, {"target": first}, 404) == "Sandbox not found"
            assert refusal(api.http.delete(f"/api/sandboxes/{first}/connect/{unknown}"), 404) == "Sandbox not found"
            wish = api.http.post("/api/sandboxes", json={**SMALL, "connect_to": [second, unknown]})
            assert refusal(wish, 404) == "Sandbox not found"
        assert refused(theirs, {"target": first}, 404, other) == "Sandbox not found"
        assert "itself" in refused(first, {"target": first}, 400)
        refused(first, {}, 422)
        refused(first, {"target": 7}, 422)
        refusal(api.http.post("/api/sandboxes", json={**SMALL, "connectTo": "x"}), 422)
        connect(api, first, second)
        connect(api, first, third)
        fourth = api.create(**SMALL, connectTo=[first, second])["id"]
        assert "2" in refused(first, {"target": fourth}, 409)
        refusal(api.http.post("/api/sandboxes", json={**SMALL, "connect_to": [first, second, third]}), 409)
        assert len(answer(api.http.get("/api/sandboxes"))["sandboxes"]) == 4  # what could not be connected is gone
        assert connections(api, fourth) == {(fourth, first, "outbound"), (fourth, second, "outbound")}
        for each in (first, second, third, fourth):
            answer(api.terminate(each))
        answer(other.terminate(theirs))
        wait_until(lambda: leftovers(server) == [], "nothing is left")


def test_a_sandbox_connects_what_its_token_reaches_and_nothing_else(api):
    def ask(box, method, path, body=None):
        data = "" if body is None else f"-d '{json.dumps(body)}'"
        call = f'curl -sS -X {method} -H "Authorization: Bearer $SANDY_API_KEY" -w "\\n%{{http_code}}" {data} $SANDY_BASE_URL{path}'
        text, status = api.output(box, call).rsplit("\n", 1)
        return int(status), json.loads(text)

    with api.box(**SMALL) as parent, api.box(**SMALL) as stranger:
        status, child = ask(parent, "POST", "/api/sandboxes", {"ttl_seconds": 300, "resources": {"memory_mb": 128}})
        assert status == 200
        child = child["id"]
        serve(api, child)
        assert ask(parent, "POST", f"/api/sandboxes/{parent}/connect", {"target": child})[0] == 200
        assert reaches(api, parent, child)
        assert ask(parent, "POST", f"/api/sandboxes/{parent}/connect", {"target": stranger})[0] == 404
        assert ask(child, "POST", f"/api/sandboxes/{child}/connect", {"target": parent})[0] == 404
        connect(api, stranger, child)  # its owner may
        assert {each["source"] for each in ask(parent, "GET", f"/api/sandboxes/{child}/connections")[1]["connections"]} == {parent}
        assert len(connections(api, child)) == 2


def test_connecting_while_either_ends_leaves_nothing(sandyd):
    server = sandyd()
    with Service(server.base_url, server.api_key) as api, ThreadPoolExecutor(4) as pool:
        for moment in range(6):
            first, second = api.create(**SMALL)["id"], api.create(**SMALL)["id"]
            wish = pool.submit(api.http.post, f"/api/sandboxes/{first}/connect", json={"target": second})
            ending = pool.submit(api.terminate, (first, second)[moment % 2])
            assert ending.result(60).status_code == 200
            assert wish.result(60).status_code in (200, 404)
            left = (second, first)[moment % 2]
            assert connections(api, left) == set()
            answer(api.terminate(left))
        wait_until(lambda: leftovers(server) == [], "nothing is left")
