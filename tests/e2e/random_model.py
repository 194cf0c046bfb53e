"""What must be true of sandboxes that several clients use at once, while guests and servers are killed.

Clients race, so the model does not know what is: it knows when something may have begun to end and when it must be over, and from
both what an answer may be that was asked for at one moment and came at another. Times are those of the wall clock, in seconds."""

import itertools
import threading
import time
from dataclasses import dataclass, field
from math import inf
from typing import Optional

from contract import timestamp

# Until an end that nobody waits for (a lease, a killed guest, a parent's end) is over. Far more than it takes: cores are shared.
LATE_SECONDS = 20.0
# The server rounds to milliseconds.
SLACK_SECONDS = 0.05
CHILDREN_ALIVE, CHILDREN_PER_HOUR, GENERATIONS = 5, 10, 3


@dataclass(eq=False)
class Box:
    """A sandbox that a client was given."""

    id: str
    mark: str  # a variable in its environment, which no other has
    parent: Optional["Box"]
    made: float  # from here on everybody finds it
    expires: tuple  # its lease ends not before the first and, unless it is renewed, not after the second
    token: str = ""
    may_end: float = inf  # somebody may have begun to end it
    ends: float = inf  # it has begun to end, whoever waits for that
    gone: float = inf  # from here on nobody finds it
    gone_with_children: float = inf  # nor its descendants
    births: int = 0  # creations for it that were answered with a sandbox
    creating: int = 0  # creations for it that are under way
    unknown: int = 0  # creations for it that a killed server left unanswered
    pause: list = field(default_factory=lambda: [inf, inf])  # its last pause: asked for, and answered
    resume: list = field(default_factory=lambda: [inf, inf])  # the same of the resume behind it
    busy: threading.Lock = field(default_factory=threading.Lock)  # held by the one who changes its lease, or pauses it

    def lineage(self) -> list:
        """It, its parent, and so on."""
        return [self] + (self.parent.lineage() if self.parent else [])

    def surely_alive(self, start: float, end: float) -> bool:
        """Whether it lived all the time between."""
        first = min(min(each.may_end, each.expires[0] - SLACK_SECONDS) for each in self.lineage())
        return self.made <= start and end < first

    def surely_gone(self, at: float) -> bool:
        if at >= self.gone or any(at >= each.gone_with_children for each in self.lineage()):
            return True
        return at >= min(min(each.ends, each.expires[1]) for each in self.lineage()) + LATE_SECONDS

    def pauses(self) -> None:
        """To be called before it is paused."""
        now = time.time()
        if self.resume[1] < now - LATE_SECONDS or self.pause[0] == inf:
            self.pause[0] = now  # else those who were refused in the pause before may still be about to say so
        if self.resume[0] < inf:
            self.pause[1] = inf
        self.resume = [inf, inf]

    def may_stand(self, start: float, end: float) -> bool:
        """Whether it may have been paused at some time between."""
        return end > self.pause[0] and start < self.resume[1]

    def surely_stands(self, start: float, end: float) -> bool:
        """Whether it was paused all the time between."""
        return self.pause[1] <= start and end < self.resume[0]

    def may_end_now(self) -> None:
        """To be called before anything is done that may end it."""
        self.may_end = min(self.may_end, time.time())

    def ends_now(self) -> None:
        """The same, for what does end it."""
        self.may_end_now()
        self.ends = min(self.ends, time.time())

    def is_over(self, found_at: float, with_children: bool = False) -> None:
        """It is gone for good."""
        self.may_end, self.gone = min(self.may_end, found_at), min(self.gone, found_at)
        if with_children:
            self.gone_with_children = min(self.gone_with_children, found_at)


class Model:
    """All sandboxes that anybody was ever given."""

    def __init__(self):
        self.lock = threading.RLock()
        self.boxes = {}
        self.plans = {}  # creations whose answer a killed server took along: mark -> parent
        self.killed_members = {}  # warm sandboxes whose guest was killed: when that began
        self.images = []  # names of snapshots that nobody has begun to forget
        self.marks = itertools.count()

    def mark(self) -> str:
        return f"mark{next(self.marks)}"

    def add(self, answer: dict, mark: str, parent: Optional[Box]) -> Box:
        """A creation was answered."""
        expires = time_of(answer)
        with self.lock:
            assert answer["id"] not in self.boxes, f"{answer['id']} was given away twice"
            assert answer["parent_sandbox_id"] == (parent.id if parent else None), answer
            box = Box(answer["id"], mark, parent, time.time(), (expires, expires))
            box.may_end = box.ends = self.killed_members.get(box.id, inf)
            self.boxes[box.id] = box
            if parent:
                parent.births += 1
                assert parent.births <= CHILDREN_PER_HOUR, f"{parent.births} children of {parent.id} within the hour"
        return box

    def kill_member(self, box_id: str) -> None:
        """The guest of a warm sandbox is about to be killed; perhaps it is somebody's by now."""
        with self.lock:
            self.killed_members.setdefault(box_id, time.time())
            if box_id in self.boxes:
                self.boxes[box_id].ends_now()

    def children(self, parent: Box) -> list:
        with self.lock:
            return [each for each in self.boxes.values() if each.parent is parent]

    def candidates(self) -> list:
        """Those worth a question: not known to be gone, or only just."""
        now = time.time()
        with self.lock:
            return [each for each in self.boxes.values() if not each.surely_gone(now - 0.2)]

    def check_answer(self, box: Box, found: bool, start: float, end: float) -> None:
        """Somebody asked for a sandbox and was told that it is there, or is not."""
        with self.lock:
            if found:
                assert not box.surely_gone(start), f"{box.id} was gone, and is there: {box}"
            else:
                assert not box.surely_alive(start, end), f"{box.id} must be there, and is not: {box}"
                # Who talks to a guest that is killed knows it a moment before all others do.
                box.is_over(end if box.ends == inf else inf)

    def check_list(self, listed: set, among: list, start: float, end: float) -> None:
        """A list of all, or of somebody's children."""
        with self.lock:
            missing = [each for each in among if each.id not in listed and each.surely_alive(start, end)]
            ghosts = [each for each in among if each.id in listed and each.surely_gone(start)]
        assert not missing, f"not listed: {missing}"
        assert not ghosts, f"gone, and listed: {ghosts}"

    def check_brood(self, parent: Box) -> None:
        """No more children than allowed."""
        now = time.time()
        alive = [each for each in self.children(parent) if each.surely_alive(now, now)]
        assert len(alive) <= CHILDREN_ALIVE, f"{len(alive)} children of {parent.id}"

    def may_refuse_child(self, parent: Box, start: float) -> bool:
        """Whether a limit of its parent may have been in the way of a child that was asked for at `start`."""
        with self.lock:
            if len(parent.lineage()) > GENERATIONS:
                return True
            pending = parent.creating + parent.unknown
            alive = sum(not each.surely_gone(start) for each in self.children(parent))
            return alive + pending > CHILDREN_ALIVE or parent.births + pending > CHILDREN_PER_HOUR

    def server_was_killed(self) -> None:
        """What was ending when the server died may live on under the next one; an end that was told may not."""
        with self.lock:
            for each in self.boxes.values():
                if each.ends == each.gone_with_children == inf:
                    each.gone = inf

    def settle(self, box: Box, lives: bool, at: float) -> None:
        """Nobody does anything, a new server runs, and what it says of a sandbox counts."""
        with self.lock:
            if not lives:
                box.is_over(at)
                box.ends = min(box.ends, at)
            elif box.ends == inf:
                box.may_end = inf


def time_of(answer: dict) -> float:
    """When the lease of a sandbox ends."""
    return timestamp(answer["timeoutAt"]).timestamp()
