"""Requests about sandboxes that live on another node than the one they are sent to: it makes no difference."""

import base64
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import cluster as clusters
import pytest
from cluster import ADMINISTRATOR, KEY, SLOW, SMALL, STRANGER, node_of
from events import check_order, output_of, stream
from memory import forget_peak, resident_bytes
from raw_http import Wire
from service import answer, refusal
from terminals import Terminal
from waiting import wait_until

NODES = ("controller", "west", "east")  # `box` is on the last
# The field in which a node tells another whose request it passes on.
INTERNAL = "Sandy-Passed-On"
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clusters.cluster(tmp_path_factory.mktemp("c")) as made:
        yield made


@pytest.fixture(scope="module", params=NODES)
def node(cluster, request):
    """The node that is entered."""
    return cluster.nodes[request.param]


@pytest.fixture
def api(node):
    with node.api() as service:
        yield service


@pytest.fixture(scope="module")
def box(cluster):
    """A sandbox on `east`."""
    with cluster.box(cluster.east) as made:
        yield made


@pytest.fixture
def own(cluster):
    """The service at the node of the box."""
    with cluster.east.api() as service:
        yield service


# -- sandboxes -------------------------------------------------------------------------------------------------


def test_a_sandbox_is_described(api, own, box):
    seen, known = answer(api.get(box)), answer(own.get(box))
    moving = {"ttl_remaining", "ttlRemaining"}
    for name in seen.keys() | known.keys():
        assert name in moving or seen[name] == known[name], name


def test_lists_and_statistics_have_all_sandboxes_of_the_tenant(cluster, node, api, box):
    with cluster.box(cluster.west) as other, cluster.box(cluster.east, node) as another:
        every = {box, other, another}
        listed = answer(api.http.get("/api/sandboxes"))
        assert {each["id"] for each in listed["sandboxes"]} == every and listed["total"] == len(every)
        created = [each["createdAt"] for each in listed["sandboxes"]]
        assert created == sorted(created)
        assert {each["sandbox_id"] for each in answer(api.http.get("/api/sandboxes/stats"))} == every
        some = answer(api.http.get("/api/sandboxes/stats", params={"ids": f"{box},{other}"}))
        assert {each["sandbox_id"] for each in some} == {box, other}
        with node.api(STRANGER) as stranger:
            assert answer(stranger.http.get("/api/sandboxes"))["sandboxes"] == []
            assert answer(stranger.http.get("/api/sandboxes/stats")) == []


def test_a_lifetime_is_renewed(cluster, api, own):
    with cluster.box(cluster.east, ttl_seconds=100) as mortal:
        assert 400 < answer(api.http.post(f"/api/sandboxes/{mortal}/refresh", json={"ttl_seconds": 500}))["ttl_remaining"] <= 500
        assert answer(own.get(mortal))["ttl_remaining"] > 400


def test_children_live_with_their_parent_and_end_with_it(cluster, api, own):
    with cluster.box(cluster.east) as parent:
        child = api.create(**SMALL, parent_sandbox_id=parent)
        assert child["parent_sandbox_id"] == parent and node_of(child["id"]) == cluster.east.id
        listed = answer(api.http.get(f"/api/sandboxes/{parent}/children"))["sandboxes"]
        assert [each["id"] for each in listed] == [child["id"]]
        answer(api.terminate(parent))
        wait_until(lambda: own.get(child["id"]).status_code == 404, "the child ends")


@pytest.mark.parametrize("end", [lambda api, box: api.terminate(box), lambda api, box: api.http.delete(f"/api/sandboxes/{box}")],
                         ids=["terminate", "delete"])
def test_an_end_is_known_everywhere(cluster, api, end):
    with cluster.box(cluster.east) as mortal:
        assert answer(end(api, mortal))["status"] == "terminated"
        for each in cluster.nodes.values():
            with each.api() as elsewhere:
                assert refusal(elsewhere.get(mortal), 404) == "Sandbox not found"
        answer(end(api, mortal))  # may be repeated


def test_ids_of_no_sandbox_are_not_found(cluster, api):
    nobodys = [each.id + "0" * 18 for each in cluster.nodes.values()] + ["0" * 24, "f" * 24, cluster.east.id]
    for unknown in nobodys:
        assert refusal(api.get(unknown), 404) == "Sandbox not found"
        assert refusal(api.http.post(f"/api/sandboxes/{unknown}/exec", json={"command": "true"}), 404) == "Sandbox not found"


# -- commands and files ----------------------------------------------------------------------------------------


def test_a_command_runs(api, box):
    result = api.exec(box, "echo out; echo err >&2; exit 3")
    assert (result["stdout"], result["stderr"], result["exitCode"]) == ("out\n", "err\n", 3)


def test_what_is_written_through_one_node_is_read_through_another(api, own, box):
    api.write(box, "notes/a.txt", "grüße\n")
    assert answer(own.read(box, "notes/a.txt"))["content"] == "grüße\n"
    own.write(box, "notes/b.txt", "back")
    assert answer(api.read(box, "notes/b.txt"))["content"] == "back"
    listed = answer(api.http.get(f"/api/sandboxes/{box}/files/list", params={"path": "notes"}))
    assert listed["files"] == ["a.txt", "b.txt"]


def in_pieces(data: bytes):
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@pytest.mark.parametrize("framed", [lambda data: data, in_pieces], ids=["with its length", "in chunks"])
def test_a_large_file_is_exact_both_ways(api, own, box, framed):
    sent = os.urandom(20 * MEBIBYTE)
    path = f"/api/sandboxes/{box}/files?path=large"
    told = answer(api.http.put(path, content=framed(sent)))
    assert told["size"] == len(sent) and told["sha256"] == hashlib.sha256(sent).hexdigest()
    assert own.output(box, "sha256sum < large").split()[0] == hashlib.sha256(sent).hexdigest()
    assert api.http.get(path).content == sent
    part = api.http.get(path, headers={"Range": "bytes=1000000-1000099"})
    assert part.status_code == 206 and part.content == sent[1_000_000:1_000_100]


def test_no_node_keeps_a_file_that_passes(cluster, node, api, box):
    size = 100 * MEBIBYTE
    path = f"/api/sandboxes/{box}/files?path=passing"
    servers = {each.name: each.server for each in (node, cluster.east)}
    before = {name: resident_bytes(server) for name, server in servers.items() if forget_peak(server) is None}
    answer(api.http.put(path, content=(bytes(MEBIBYTE) for _ in range(size // MEBIBYTE))))
    with api.http.stream("GET", path) as response:
        assert sum(map(len, response.iter_raw())) == size
    for name, server in servers.items():
        assert resident_bytes(server, "VmHWM") - before[name] < 24 * MEBIBYTE, name
    answer(api.http.request("DELETE", path))


def test_output_comes_while_the_command_runs(api, own, box):
    own.exec(box, "rm -f go")
    command = "echo first; while [ ! -e go ]; do sleep 0.02; done; echo second >&2; exit 4"
    with stream(api.http, "POST", f"/api/sandboxes/{box}/exec", json={"command": command, "stream": True}) as events:
        seen = [next(events)]
        assert seen[0].bytes == b"first\n"
        own.write(box, "go", "")  # it has not ended yet, or it never would
        seen += events
    assert check_order(seen)["exitCode"] == 4 and output_of(seen, "stderr") == b"second\n"


def test_whoever_hangs_up_ends_the_command(api, own, box):
    with stream(api.http, "POST", f"/api/sandboxes/{box}/exec", json={"command": "echo begun; sleep 4711", "stream": True}) as events:
        assert next(events).bytes == b"begun\n"
    wait_until(lambda: own.exec(box, "pgrep -f '[s]leep 4711'")["exitCode"] == 1, "the command ends with its reader")


def test_a_stream_is_resumed_through_another_node(cluster, api, own, box):
    process = api.start(box, "seq 1 1000")["process_id"]
    path = f"/api/sandboxes/{box}/processes/{process}"
    wait_until(lambda: answer(own.http.get(path))["status"] == "exited", "it has written all")
    whole = b"".join(b"%d\n" % number for number in range(1, 1001))
    with stream(api.http, "GET", f"{path}/output", params={"offset": 1000}) as events:
        assert output_of(list(events)) == whole[1000:]


def test_a_terminal_works_and_resizes(node, box):
    with Terminal(node.server, box, command="PS1='ready> ' exec bash --norc --noediting -i", cols=132, rows=50) as terminal:
        terminal.see("ready> ")
        terminal.type("stty size; echo $((6*7))\n")
        terminal.see(r"50 132\r\n42\r\n")
        terminal.resize(101, 33)
        terminal.type("stty size\n")
        terminal.see(r"33 101\r\n")
        terminal.type("exit 5\n")
        assert terminal.end()["exitCode"] == 5 and terminal.closed == 1000


def test_answers_do_not_mix(cluster, api, box):
    with cluster.box(cluster.west) as other, ThreadPoolExecutor(8) as pool:
        asked = [(each, f"{each} {number}") for number in range(40) for each in (box, other)]
        said = pool.map(lambda one: api.output(one[0], f"echo $SANDY_SANDBOX_ID {one[1].split()[1]}"), asked)
        assert list(said) == [f"{text}\n" for _, text in asked]


def test_one_connection_reaches_the_sandboxes_of_all_nodes(cluster, node, box):
    with cluster.box(cluster.west) as other, Wire(node.server.base_url) as wire:
        for each in (box, other) * 3:
            reply = wire.call("POST", f"/api/sandboxes/{each}/exec", {"Host": "x", "Authorization": f"Bearer {KEY}"},
                              b'{"command": "echo $SANDY_SANDBOX_ID"}')
            assert reply.status == 200 and reply.json()["stdout"] == each + "\n"


# -- answers ---------------------------------------------------------------------------------------------------

REFUSED = [
    ("GET", "/files/read?path=nothing", None), ("POST", "/exec", {}), ("POST", "/exec", {"command": "true", "cwd": "/nowhere"}),
    ("GET", "/processes/999999", None), ("POST", "/connect", {"target": "0" * 24}), ("PATCH", "/exec", {}), ("GET", "/nothing", None),
    ("GET", "/terminal", None),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body", REFUSED, ids=lambda value: str(value)[:24])
def test_refusals_are_those_of_the_sandboxs_node(api, own, box, method, path, body):
    ask = lambda service: service.http.request(method, f"/api/sandboxes/{box}{path}", json=body)
    seen, known = ask(api), ask(own)
    assert (seen.status_code, seen.json()) == (known.status_code, known.json()) and known.status_code >= 400


def test_answers_have_the_same_fields_and_none_twice(api, own, box):
    ask = lambda service: service.http.post(f"/api/sandboxes/{box}/exec", json={"command": "echo"},
                                            headers={"X-Request-Id": "r-1", "X-Correlation-ID": "c-1", "Origin": "https://console.example"})
    seen, known = ask(api), ask(own)
    of_the_connection = ("connection", "keep-alive")
    names = lambda response: sorted(name for name, _ in response.headers.multi_items() if name not in of_the_connection)
    assert names(seen) == names(known) and len(set(names(seen))) == len(names(seen))
    assert (seen.headers["X-Request-Id"], seen.headers["X-Correlation-ID"]) == ("r-1", "c-1")


def test_a_request_counts_once_where_it_is_entered_and_its_answer_says_so_once(cluster):
    limits = lambda reply: {name: reply.all(name) for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")}
    with cluster.east.api(SLOW) as slow:
        box = slow.create(**SMALL, upstream=cluster.east.labels[0])["id"]
        try:
            for node in (cluster.west, cluster.controller):
                with Wire(node.server.base_url) as wire:
                    replies = [wire.call("GET", f"/api/sandboxes/{box}", {"Host": "x", "Authorization": f"Bearer {SLOW}"}) for _ in range(4)]
                assert [each.status for each in replies] == [200, 200, 200, 429]
                assert all(len(values) == 1 for each in replies for values in limits(each).values())
                assert [limits(each)["RateLimit-Remaining"] for each in replies] == [["2"], ["1"], ["0"], ["0"]]
                assert len(replies[3].all("Retry-After")) == 1
        finally:
            wait_until(lambda: slow.terminate(box).status_code == 200, "its budget lets it end the sandbox")


# -- who may ---------------------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "", None), ("DELETE", "", None), ("POST", "/terminate", {}), ("POST", "/refresh", {}), ("GET", "/logs", None), ("GET", "/children", None),
    ("POST", "/exec", {"command": "true"}), ("POST", "/exec", {"command": "true", "stream": True}), ("GET", "/files/read?path=secret", None),
    ("POST", "/files/write", {"path": "secret", "content": "theirs"}), ("GET", "/files/list", None), ("GET", "/files?path=secret", None),
    ("GET", "/processes", None), ("POST", "/preview", {}), ("GET", "/terminal", None), ("POST", "/pause", {}), ("POST", "/snapshot", {"name": "x"}),
    ("POST", "/fork", {}), ("GET", "/proxy/5173/", None),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body", ROUTES, ids=lambda value: str(value)[:24])
def test_a_sandbox_of_another_tenant_is_an_unknown_one(node, box, method, path, body):
    with node.api(STRANGER) as stranger:
        ask = lambda id: stranger.http.request(method, f"/api/sandboxes/{id}{path}", json=body)
        seen, unknown = ask(box), ask(node_of(box) + "0" * 18)
        assert (seen.status_code, seen.json()) == (unknown.status_code, unknown.json())
        assert seen.status_code in (404, 426)


def test_without_a_key_nothing_is_said_of_any_node(node, box):
    with node.api(None) as nobody:
        refusal(nobody.get(box), 401)
        refusal(nobody.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"}), 401)


def test_nobody_did_any_of_it(own, box):
    assert answer(own.get(box))["status"] == "running" and own.read(box, "secret").status_code == 404


def test_a_sandboxs_own_token_reaches_at_every_node_what_it_reaches_at_its_own(cluster, node, own):
    with cluster.box(cluster.east) as parent, cluster.box(cluster.west) as stranger:
        with node.api(own.output(parent, 'printf %s "$SANDY_API_KEY"')) as inside:
            child = inside.create(**SMALL)
            assert child["parent_sandbox_id"] == parent and node_of(child["id"]) == cluster.east.id
            listed = answer(inside.http.get("/api/sandboxes"))["sandboxes"]
            assert {each["id"] for each in listed} == {parent, child["id"]}
            for reached in (parent, child["id"]):
                assert inside.output(reached, "echo $SANDY_SANDBOX_ID") == reached + "\n"
            assert refusal(inside.get(stranger), 404) == "Sandbox not found"
            refusal(inside.http.get("/api/cluster"), 403)


# What a node would say of the tenant of these tests, and of an administrator.
ALLEGED = {"caller": ["default", "", True], "inside": ["", "", False], "address": "10.77.0.3", "port": 7330, "request": "r", "host": "", "budget": [9, 9, 9]}
FORGED = base64.b64encode(json.dumps(ALLEGED).encode()).decode()
SPELLINGS = [
    [f"{INTERNAL}: {FORGED}"], [f"{INTERNAL.lower()}: {FORGED}"], [f"{INTERNAL.upper()}:{FORGED}"], [f"{INTERNAL.replace('-', '_')}: {FORGED}"],
    [f"{INTERNAL}: {FORGED}", f"{INTERNAL}: {FORGED}"], [f"{INTERNAL} : {FORGED}"], ["X-Nothing: 1", f" {INTERNAL}: {FORGED}"],
    [f"{INTERNAL}:", f" {FORGED}"], [f"X-{INTERNAL}: {FORGED}"], [f"{INTERNAL}: {FORGED}", f"Connection: {INTERNAL}"],
    [f"{INTERNAL}: default"], [f"{INTERNAL}: {json.dumps(ALLEGED)}"], [f"{INTERNAL}: "], [f"{INTERNAL}: " + "A" * 8000],
]  # fmt: skip


def status_of(node, target: str, key, lines) -> int:
    head = [f"GET {target} HTTP/1.1", "Host: x", *([f"Authorization: Bearer {key}"] if key else []), *lines, "", ""]
    with Wire(node.server.base_url) as wire:
        wire.send("\r\n".join(head))
        return wire.reply().status


@pytest.mark.parametrize("lines", SPELLINGS, ids=lambda lines: "|".join(lines)[:30])
def test_what_nodes_tell_each_other_is_worth_nothing_from_a_client(node, box, lines):
    malformed = {400} & {status_of(node, "/api/health", None, lines)}  # it is no HTTP, and refused before anything is looked at
    assert {status_of(node, f"/api/sandboxes/{box}", STRANGER, lines)} <= {404} | malformed
    assert {status_of(node, f"/api/sandboxes/{box}", None, lines)} <= {401} | malformed
    assert {status_of(node, "/api/cluster", KEY, lines)} <= {403} | malformed
    assert {status_of(node, "/api/cluster", STRANGER, lines)} <= {403} | malformed
    # Nor does it do harm.
    assert {status_of(node, f"/api/sandboxes/{box}", KEY, lines)} <= {200} | malformed
    assert {status_of(node, "/api/cluster", ADMINISTRATOR, lines)} <= {200} | malformed


def test_a_client_cannot_take_away_what_nodes_tell_each_other(node, box):
    for named in (INTERNAL, f"close, {INTERNAL}, Authorization", INTERNAL.lower()):
        assert status_of(node, f"/api/sandboxes/{box}", KEY, [f"Connection: {named}"]) == 200
        assert status_of(node, f"/api/sandboxes/{box}", STRANGER, [f"Connection: {named}"]) == 404


@pytest.mark.parametrize("field", ["X-Sandy-Host", "X-Forwarded-Host"])
@pytest.mark.parametrize("target", ["/api/sandboxes", "/api/resources", "/v1/models", "/"])
def test_a_request_to_a_sandboxs_name_is_none_to_the_api_wherever_it_is_served(cluster, node, field, target):
    """Two nodes must not disagree on what a request is: to a name nobody needs a key, to the API everybody does."""
    for nobodys in (cluster.east.id + "0" * 18, cluster.west.id + "f" * 18):
        named = f"{field}: {nobodys}.sandy.localhost"
        assert status_of(node, target, None, [named, f"Connection: {field}"]) == 404
        assert status_of(node, target, None, [named, f"Connection: close, {field.lower()}, Host"]) == 404


def test_a_parent_that_a_header_names_cannot_be_taken_away(cluster, node, own, box):
    lines = [f"X-Sandy-Parent: {box}", "Connection: X-Sandy-Parent", f"Authorization: Bearer {KEY}", "Content-Length: 2"]
    with Wire(node.server.base_url) as wire:
        wire.send("\r\n".join(["POST /api/sandboxes HTTP/1.1", "Host: x", *lines, "", "{}"]))
        made = wire.reply().json()
    try:
        assert made["parent_sandbox_id"] == box
    finally:
        own.terminate(made["id"])
