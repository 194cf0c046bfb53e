"""Thousands of random operations by several clients at once, with killed guests and servers: nothing is lost, nothing is left.

The seed is printed; SANDY_RANDOM_SEED gives it again. It makes the same choices; how they meet is up to the machine."""

import itertools
import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

from leftovers import leftovers
from random_clients import Client, Cut, World
from random_operations import OPERATIONS, create, records
from service import Service, answer
from waiting import wait_until_empty

TOTAL = int(os.environ.get("SANDY_RANDOM_OPERATIONS", 2000))
CLIENTS = 4
WARM = 3
AGREE_SECONDS = 30
SMALL = ("--default-memory", "128Mi", "--default-disk", "256Mi", "--prewarm-count", WARM, "--tenant-creations-per-minute", 0,
         "--tenant-creations-per-hour", 0)  # fmt: skip
ID = re.compile(r"\b[0-9a-f]{24}\b")


def test_random_lives_leave_the_kernel_and_the_store_in_agreement(sandyd):
    seed = os.environ.get("SANDY_RANDOM_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"SANDY_RANDOM_SEED={seed}")
    server = sandyd(*SMALL)
    world = World(server, checkpoint)
    turns = itertools.count()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            runs = [pool.submit(run, world, Client(world, f"{seed}-{number}", create), turns) for number in range(CLIENTS)]
            for each in runs:
                each.result()
        seconds = time.monotonic() - began
        print(f"{sum(world.counts.values())} operations in {seconds:.1f} s, {world.restarts} restarts: {world.counts}")
        with Service(server.base_url, server.api_key) as api:
            check_history(world, api)
            end_all(world, api)
        assert server.stop() == 0
    finally:
        server.kill()
        server.arguments += ("--end-sandboxes",)  # those of the pool
        server.start()
    assert server.stop() == 0
    assert leftovers(server) == []


def run(world: World, client: Client, turns) -> None:
    """One client's share."""
    functions, weights = [each[1] for each in OPERATIONS], [each[0] for each in OPERATIONS]
    try:
        while next(turns) < TOTAL:
            does = client.random.choices(functions, weights)[0]
            with world.passage():
                try:
                    does(client)
                except Cut:
                    world.count("cut")
                    continue
            world.count(does.__name__)
    except BaseException:
        next(itertools.dropwhile(lambda turn: turn < TOTAL, turns))  # the others need not go on
        raise
    finally:
        client.close()


def checkpoint(client: Client, settled: bool) -> None:
    """Nobody does anything. @param settled a new server runs: what it says of sandboxes of unknown fate is their fate."""
    model = client.model
    known = list(model.boxes.values())
    listing = client.call("GET", "", allowed=[200])
    listed = {each["id"]: each for each in listing.json["sandboxes"]}
    model.check_list(set(listed), known, listing.start, listing.end)
    for strange in set(listed) - set(model.boxes):
        adopt(client, listed[strange])
    # All before the first is settled: a parent that lives says nothing of a child that its end had begun with.
    unsure = [box for box in known if not box.surely_alive(listing.start, listing.end) and not box.surely_gone(listing.start)]
    for box in unsure if settled else []:
        model.settle(box, box.id in listed and lives(client, box), listing.end)
    wait_until_empty(lambda: disagreements(client), "kernel, store and server do not agree", AGREE_SECONDS)


def lives(client: Client, box) -> bool:
    answer = client.call("POST", f"/{box.id}/exec", {"command": "echo $MARK"}, allowed=(200, 404, 409))
    if answer.status == 409:  # paused; then it says nothing of itself
        return box.may_stand(answer.start, answer.end)
    return answer.status == 200 and answer.json["stdout"].split() == [box.mark]


def adopt(client: Client, found: dict) -> None:
    """A creation whose client was cut off was whole nevertheless, and is one that was asked for."""
    command = {"command": "echo $MARK"}
    said = client.call("POST", f"/{found['id']}/exec", command)
    if said.status == 200:
        mark = said.json["stdout"].strip()
        client.model.add(found, mark, client.model.plans.pop(mark))


def disagreements(client: Client) -> list:
    """What kernel, store and server do not all know of."""
    server = client.world.server
    stored = dict(records(server))
    present = {}
    for line in leftovers(server):
        present.setdefault(line.split()[0], set()).update(ID.findall(line))
    listed = {each["id"] for each in client.call("GET", "", allowed=[200]).json["sandboxes"]}
    present["listed"] = listed | {each for each, tenant in stored.items() if not tenant}
    present.pop("socket", None)  # has no id
    layers = present.pop("layer-file", set()) ^ present.pop("layer-record", set())
    return [(kind, each) for kind, ids in present.items() for each in ids ^ set(stored)] + [("layer", each) for each in layers]


def check_history(world: World, api: Service) -> None:
    """Events tell of every sandbox in the order of its life, and of none that nobody was given."""
    told, after = {}, 0
    while (page := answer(api.http.get("/api/events", params={"after": after}, headers={"Accept": "application/json"})))["events"]:
        for each in page["events"]:
            told.setdefault(each["sandboxId"], []).append(each["type"].partition(".")[2])
        after = page["next"]
    for box, events in told.items():
        assert "ended" not in events[:-1] and "created" not in events[1:], f"{box}: {events}"
    lost = [each for each in world.model.boxes if each not in told]
    assert len(lost) <= world.restarts * CLIENTS, lost  # those of the last moment before a kill


def end_all(world: World, api: Service) -> None:
    for each in answer(api.http.get("/api/images"))["images"]:
        if each["snapshot"]:
            answer(api.http.delete(f"/api/images/{each['name']}"))
    with ThreadPoolExecutor(CLIENTS) as pool:
        listed = answer(api.http.get("/api/sandboxes"))["sandboxes"]
        for each in pool.map(api.terminate, [each["id"] for each in listed]):
            answer(each)
    assert answer(api.http.get("/api/sandboxes"))["total"] == 0

    def beyond_the_pool() -> list:
        members = {each for each, tenant in records(world.server) if not tenant}
        found = leftovers(world.server)
        # In each member the server listens for requests to the API, connections and questions for names; it holds nothing else in them.
        sockets = [line for line in found if line.startswith("socket")]
        return [line for line in found if line not in sockets and not set(ID.findall(line)) & members] + sockets[3 * len(members):]

    wait_until_empty(beyond_the_pool, "left behind", 75)  # one sweep
