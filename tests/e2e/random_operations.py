"""What the clients of the randomised run do, and what they may be told. A row of `OPERATIONS` each: to add one, write a function."""

import sqlite3
import threading
import time
from math import inf
from typing import Callable

from inside import process_one, processes
from random_clients import Client, Cut
from random_model import SLACK_SECONDS, Box, time_of

# Sandboxes that are there at a time, about: with more, the next creation is an end instead.
POPULATION = 14
SNAPSHOTS = 10
SHORT_TTL, LONG_TTL = (1, 4), (200, 900)
# Another disk than the pool's members have: such a sandbox is made for its caller.
COLD = {"resources": {"disk_gb": 0.2}}


def create(client: Client, parent: Box = None):
    """Warm or cold, long or short, for oneself or as somebody's child. @returns the sandbox, or None."""
    model, chance = client.model, client.random
    if parent is None and len(model.candidates()) > POPULATION:
        return terminate(client)
    mark, key = model.mark(), None
    ttl = chance.randint(*(SHORT_TTL if chance.random() < 0.15 else LONG_TTL))
    body = {"ttl_seconds": ttl, "env": {"MARK": mark}, **(COLD if chance.random() < 0.3 else {})}
    allowed = [200]
    if parent:
        allowed += [401, 404, 429]
        if parent.token and chance.random() < 0.5:
            key = parent.token
        else:
            body["parent_sandbox_id"] = parent.id
        with model.lock:
            parent.creating += 1
    try:
        answer = client.call("POST", "", body, key=key, allowed=allowed)
    except Cut:
        with model.lock:
            model.plans[mark] = parent
            if parent:
                parent.unknown += 1
        raise
    finally:
        if parent:
            refusable = model.may_refuse_child(parent, time.time())
            with model.lock:
                parent.creating -= 1
    if answer.status == 200:
        made = model.add(answer.json, mark, parent)
        assert answer.start + ttl - 1 < made.expires[0] < answer.end + ttl + 1, answer.json
        if parent:
            model.check_brood(parent)
        return made
    if answer.status == 429:
        assert refusable, f"a limit too early: {answer.json} {parent}"
    else:
        model.check_answer(parent, False, answer.start, answer.end)
    return None


def create_child(client: Client):
    create(client, client.some_box())


def execute(client: Client):
    """Whatever it was made of, a sandbox is the one that was asked for."""
    box = client.some_box()
    answer = client.use(box, "POST", "/exec", {"command": 'echo "$SANDY_SANDBOX_ID $MARK $SANDY_API_KEY"'})
    if answer:
        assert answer.json["exitCode"] == 0, answer.json
        name, mark, token = answer.json["stdout"].split()
        assert (name, mark) == (box.id, box.mark) and box.token in ("", token), answer.json
        box.token = token


def file(client: Client):
    """A file that was written is there as long as its sandbox."""
    box, content = client.some_box(), str(client.random.random())
    name = f"file{client.random.random()}"
    if client.use(box, "POST", "/files/write", {"path": name, "content": content}):
        answer = client.use(box, "GET", f"/files/read?path={name}")
        if answer:
            assert answer.json["content"] == content


def look(client: Client):
    box = client.some_box()
    with box.busy:
        answer = client.call("GET", f"/{box.id}")
    if client.check(box, answer):
        first, last = box.expires
        assert first - SLACK_SECONDS <= time_of(answer.json) <= last + SLACK_SECONDS, (answer.json, box)
        assert answer.json["parent_sandbox_id"] == (box.parent.id if box.parent else None)


def list_all(client: Client):
    known = list(client.model.boxes.values())
    answer = client.call("GET", "")
    client.model.check_list({each["id"] for each in answer.json["sandboxes"]}, known, answer.start, answer.end)


def list_children(client: Client):
    box = client.some_box()
    known = client.model.children(box)
    answer = client.call("GET", f"/{box.id}/children")
    if answer.status == 404:
        client.check(box, answer)
    else:
        client.model.check_list({each["id"] for each in answer.json["sandboxes"]}, known, answer.start, answer.end)


def renew(client: Client):
    """Renew races expiry: who is told that the lease is longer has it."""
    box = client.some_box()
    ttl = client.random.randint(*(SHORT_TTL if client.random.random() < 0.1 else LONG_TTL))
    with box.busy:
        old, now = box.expires, time.time()
        box.expires = (min(old[0], now + ttl), old[1])
        try:
            answer = client.call("POST", f"/{box.id}/refresh", {"ttl_seconds": ttl})
        except Cut:
            box.expires = (box.expires[0], max(old[1], time.time() + ttl))
            raise
        if answer.status == 200:
            expires = time_of(answer.json)
            assert answer.start + ttl - 1 < expires < answer.end + ttl + 1, answer.json
            box.expires = (expires, expires)
        else:
            box.expires = old
        client.check(box, answer)


def pause(client: Client):
    box = client.some_box()
    with box.busy:
        box.pauses()
        answer = client.call("POST", f"/{box.id}/pause")
        if client.check(box, answer):
            assert answer.json["status"] == "paused", answer.json
            box.pause[1] = min(box.pause[1], answer.end)
            box.ends = inf  # a guest that was killed dies when it goes on


def resume(client: Client):
    known = client.model.candidates()
    standing = [each for each in known if each.pause[0] < inf and each.resume[1] == inf]
    client.resume(client.random.choice(standing or known or [create(client)]))


def fork(client: Client):
    """Another sandbox with the same files; not its child."""
    box, model, mark = client.some_box(), client.model, client.model.mark()
    if len(model.candidates()) > POPULATION:
        return terminate(client)
    ttl = client.random.randint(*LONG_TTL)
    name = f"forked{client.random.random()}"
    if not client.use(box, "POST", "/files/write", {"path": name, "content": mark}):
        return None
    try:
        answer = client.call("POST", f"/{box.id}/fork", {"ttl_seconds": ttl, "env": {"MARK": mark}}, allowed=(200, 404, 502))
    except Cut:
        with model.lock:
            model.plans[mark] = None
        raise
    if answer.status != 200:
        model.check_answer(box, False, answer.start, answer.end)
        return None
    made = model.add(answer.json["sandboxes"][0], mark, None)
    answer = client.use(made, "GET", f"/files/read?path={name}")
    assert answer is None or answer.json["content"] == mark
    return made


def snapshot(client: Client):
    box, images = client.some_box(), client.model.images
    if len(images) > SNAPSHOTS:
        return forget(client)
    name = f"image-{client.model.mark()}"
    if client.use(box, "POST", "/files/write", {"path": "snapped", "content": name}):
        answer = client.call("POST", f"/{box.id}/snapshot", {"name": name}, allowed=(200, 404, 502))
        if answer.status == 200:
            images.append(name)
        else:
            client.model.check_answer(box, False, answer.start, answer.end)


def create_from_image(client: Client):
    model, mark = client.model, client.model.mark()
    images = list(model.images)
    if not images or len(model.candidates()) > POPULATION:
        return snapshot(client)
    name = client.random.choice(images)
    try:
        answer = client.call("POST", "", {"image": name, "ttl_seconds": 300, "env": {"MARK": mark}}, allowed=(200, 400))
    except Cut:
        with model.lock:
            model.plans[mark] = None
        raise
    if answer.status == 400:
        assert name not in model.images, f"{name} is lost: {answer.json}"
        return None
    made = model.add(answer.json, mark, None)
    answer = client.use(made, "GET", "/files/read?path=snapped")
    assert answer is None or answer.json["content"].startswith("image-"), answer.json
    return made


def forget(client: Client):
    """A snapshot; what was made from it lives on."""
    with client.model.lock:
        images = client.model.images
        name = images.pop(client.random.randrange(len(images))) if images else None
    if name:
        client.call("DELETE", f"/{name}", allowed=[200], of="images")


def terminate(client: Client):
    box = client.some_box()
    box.may_end_now()
    # Told again and again for an hour, whatever ended it.
    answer = client.call("POST", f"/{box.id}/terminate", allowed=[200])
    assert answer.json["ok"], answer.json
    with client.model.lock:
        box.is_over(answer.end, with_children=True)


def kill_guest(client: Client):
    """From the host, as its out-of-memory killer would."""
    box = client.some_box()
    with box.busy:
        if box.may_stand(time.time(), inf):
            return  # it would not notice before it goes on
        box.may_end_now()
        try:
            guest = process_one(client.world.server, box.id)
        except (AssertionError, OSError):
            return  # it was going already
        box.ends_now()
        guest.kill()


def kill_member(client: Client):
    """The same to a sandbox that waits in a pool, at the moment or just before."""
    server = client.world.server
    members = [each for each, tenant in records(server) if not tenant and processes(server, each)]
    if members:
        member = client.random.choice(members)
        client.model.kill_member(member)
        try:
            process_one(server, member).kill()
        except (AssertionError, OSError):
            pass


def kill_server(client: Client):
    """At any moment of whatever the others do."""
    restart(client, client.world.server.kill)


def stop_server(client: Client):
    def stop():
        assert client.world.server.stop() == 0

    restart(client, stop)


def restart(client: Client, end: Callable):
    world = client.world
    with world.closed() as alone:
        if alone is None:
            return
        threading.Event().wait(client.random.random() * 0.04)  # a creation takes about that long
        world.disturbed = True
        end()
        alone()
        client.model.server_was_killed()
        world.server.start()
        world.disturbed = False
        world.restarts += 1
        world.checkpoint(client, settled=True)


def compare(client: Client):
    with client.world.closed() as alone:
        if alone is not None:
            alone()
            client.world.checkpoint(client, settled=False)


def records(server) -> list:
    """The sandboxes in the store: (id, tenant)."""
    connection = sqlite3.connect(f"file:{server.data_dir}/sandy.db?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute("SELECT id, tenant FROM sandboxes").fetchall()
    finally:
        connection.close()


# How often, of what all weights add up to.
OPERATIONS = (
    (140, create),
    (90, create_child),
    (300, execute),
    (60, file),
    (80, look),
    (50, list_all),
    (30, list_children),
    (80, renew),
    (40, pause),
    (50, resume),
    (30, fork),
    (15, snapshot),
    (20, create_from_image),
    (10, forget),
    (70, terminate),
    (15, kill_guest),
    (10, kill_member),
    (6, kill_server),
    (2, stop_server),
    (4, compare),
)
