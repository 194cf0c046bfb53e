"""What all parts of one run share: patience with other programs, and what is done with what they disturbed."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

# A compiler beside us is paid for by who is measured just then; a share of the CPU this small disturbs nobody.
QUIET_SHARE = 0.10
SAMPLE_SECONDS = 0.4
# Fewer undisturbed batches than this say less than all batches together.
ENOUGH = 3


@dataclass
class Batch:
    """Measurements of one peer in a row; `quiet` when no other program was busy right before and right after."""

    values: list
    quiet: bool


class Session:
    """`quick`: few rounds. `patience`: seconds that the run may wait, in sum, for other programs to be quiet."""

    def __init__(self, quick, patience):
        self.quick = quick
        self._patience = patience
        self._batches = []
        self._waited = 0.0

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def measure(self, action):
        """The batch of what `action` gives, begun in a quiet moment if one comes. Before and after it, what is measured
        must have nothing to do."""
        begin = time.monotonic()
        # Every batch gets its part of the patience, not the first one all of it.
        end = begin + min(self._patience - self._waited, self._patience / 20)
        while (share := _busy_share()) > QUIET_SHARE and time.monotonic() < end:
            pass
        self._waited += time.monotonic() - begin
        values = action()
        self._batches.append(Batch(values, max(share, _busy_share()) <= QUIET_SHARE))
        return self._batches[-1]

    def disturbance(self):
        """How far others were in the way, for the report."""
        loud = sum(not batch.quiet for batch in self._batches)
        return f"{loud} of {len(self._batches)} batches were disturbed by other programs; waited {self._waited:.0f} s for them"


def undisturbed(batches):
    """For each peer, the measurements of its quiet batches; of all its batches when any peer has too few quiet ones."""
    enough = all(sum(batch.quiet for batch in each) >= ENOUGH for each in batches.values())
    return {peer: [value for batch in each if batch.quiet or not enough for value in batch.values]
            for peer, each in batches.items()}


def _busy_share():
    """How much of all cores was used in the next moment, 0 to 1."""
    before = _times()
    time.sleep(SAMPLE_SECONDS)
    passed = [now - then for now, then in zip(_times(), before)]
    return 1 - (passed[3] + passed[4]) / max(1, sum(passed))


def _times():
    # user nice system idle iowait irq softirq steal, see proc(5)
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
