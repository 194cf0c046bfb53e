"""What the server adds to a command: POST .../exec beside the same question to the guest, in turns."""

import guest_link
from report import Row
from sandy_peer import SandyServer
from session import undisturbed
from timing import milliseconds, p50, p90

MOST_ADDED_MS = 1


def run(session):
    rounds, count = (2, 50) if session.quick else (10, 100)
    with SandyServer() as sandy, sandy.connect() as link:
        box = sandy.create(link)
        path = sandy.guest_socket(box)

        def pairs():
            for _ in range(5):  # warms caches up
                sandy.run_true(link, box)
                guest_link.run_true(path)
            return [(milliseconds(lambda: sandy.run_true(link, box)), milliseconds(lambda: guest_link.run_true(path)))
                    for _ in range(count)]

        batches = [session.measure(pairs) for _ in range(rounds)]
    over_http, direct = zip(*undisturbed({"both": batches})["both"])
    added = p50(over_http) - p50(direct)
    session.say(f"exec true: {p50(over_http):.3f} ms over HTTP, {p50(direct):.3f} ms from the guest")
    return [Row("exec true, over HTTP vs the guest itself", f"{p50(over_http):.2f} ms (p90 {p90(over_http):.2f})",
                f"{p50(direct):.2f} ms (p90 {p90(direct):.2f})", f"+{added:.2f} ms", f"<= +{MOST_ADDED_MS} ms",
                added <= MOST_ADDED_MS, {"over HTTP, from the guest": batches})]
