"""The clients of the randomised run, and the server that they share."""

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Callable

import httpx
from random_model import Box, Model
from service import Service


# Far more than a command takes.
STALL_SECONDS = 10


class Cut(Exception):
    """The server was killed before it answered: nobody knows what it did."""


class World:
    """One server, all clients, and a gate that lets one of them have the server for itself."""

    def __init__(self, server, checkpoint: Callable):
        self.server = server
        self.model = Model()
        self.checkpoint = checkpoint
        self.restarts = 0
        self.disturbed = False  # the server is being killed or stopped
        self._open = threading.Condition()
        self._closed = False
        self._within = 0
        self.counts = {}

    @contextmanager
    def passage(self):
        """For one operation. Waits while somebody has the server for itself."""
        with self._open:
            self._open.wait_for(lambda: not self._closed)
            self._within += 1
        try:
            yield
        finally:
            with self._open:
                self._within -= 1
                self._open.notify_all()

    @contextmanager
    def closed(self):
        """Within one's own passage: nobody begins anything. Gives a function that waits for the others to be through, or None when
        somebody else was faster."""
        with self._open:
            mine = not self._closed
            self._closed = True
        if not mine:
            yield None
            return

        def alone():
            with self._open:
                assert self._open.wait_for(lambda: self._within == 1, 90), "a request hangs"

        try:
            yield alone
        finally:
            with self._open:
                self._closed = False
                self._open.notify_all()

    def count(self, what: str) -> None:
        with self._open:
            self.counts[what] = self.counts.get(what, 0) + 1


@dataclass
class Answer:
    status: int
    json: dict
    start: float
    end: float


class Client:
    """One of several at once, with a random sequence of its own."""

    def __init__(self, world: World, seed: str, make: Callable):
        """@param make gives a sandbox when there is none."""
        self.world, self.model, self.make = world, world.model, make
        self.random = random.Random(seed)
        self._service = None

    def close(self) -> None:
        if self._service:
            self._service.close()

    def call(self, method: str, path: str, body=None, *, key=None, allowed=(200, 404), of="sandboxes", patience=60) -> Answer:
        """Raises Cut when the server was killed meanwhile, and fails for an answer that is not `allowed`."""
        url = self.world.server.base_url
        if self._service is None or str(self._service.http.base_url).rstrip("/") != url:
            self.close()
            self._service = Service(url, self.world.server.api_key)
        headers = {"Authorization": f"Bearer {key}"} if key else None
        start = time.time()
        try:
            response = self._service.http.request(method, f"/api/{of}{path}", json=body, headers=headers, timeout=patience)
        except httpx.TransportError as error:
            if self.world.disturbed:
                raise Cut from error
            raise
        if response.status_code == 503 and self.world.disturbed:
            raise Cut
        assert response.status_code in allowed, f"{method} {path} {body}: {response.status_code} {response.text[:500]}"
        return Answer(response.status_code, response.json(), start, time.time())

    def some_box(self) -> Box:
        """Any sandbox that may be there; made when there is none."""
        known = self.model.candidates()
        return self.random.choice(known) if known else self.make(self)

    def check(self, box: Box, answer: Answer) -> bool:
        """Whether the sandbox was there and not at its end; fails when that cannot be."""
        # Where an ending one still answers, it says so.
        found = answer.status == 200 and answer.json.get("status") != "terminating"
        self.model.check_answer(box, found, answer.start, answer.end)
        return found

    def resume(self, box: Box) -> None:
        """Lets it go on, if it was paused."""
        with box.busy:
            box.resume[0] = min(box.resume[0], time.time())
            answer = self.call("POST", f"/{box.id}/resume")
            if self.check(box, answer):
                assert answer.json["status"] == "running", answer.json
                box.resume[1], box.pause[1] = answer.end, inf

    def use(self, box: Box, method: str, path: str, body=None):
        """Asks something of a sandbox's processes or files. @returns the answer, or None: it is gone, or paused."""
        start = time.time()
        try:
            answer = self.call(method, f"/{box.id}{path}", body, allowed=(200, 404, 409), patience=STALL_SECONDS)
        except httpx.ReadTimeout:  # what was begun before it was paused waits; four such clients would wait for ever
            assert box.may_stand(start, time.time()), f"a request hangs: {method} {path} {box}"
            self.resume(box)
            return None
        if answer.status != 409:
            standing = answer.status == 200 and box.surely_stands(answer.start, answer.end)
            assert not standing, f"used while it was paused: {box}"
            return answer if self.check(box, answer) else None
        assert answer.json["error"]["code"] == "sandbox_paused" and box.may_stand(answer.start, answer.end), (answer.json, box)
        return None
