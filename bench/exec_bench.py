"""What the server adds to a command: POST .../exec beside the same question to the guest, in turns."""

import guest_link
from report import Row
from sandy_peer import SandyServer
from timing import milliseconds, p50, p90

MOST_ADDED_MS = 1


def run(quick, say):
    count = 100 if quick else 1000
    with SandyServer() as sandy, sandy.connect() as link:
        box = sandy.create(link)
        path = sandy.guest_socket(box)
        over_http, direct = [], []
        for number in range(count + 10):
            pair = milliseconds(lambda: sandy.run_true(link, box)), milliseconds(lambda: guest_link.run_true(path))
            if number >= 10:  # the first ones warm caches up
                over_http.append(pair[0])
                direct.append(pair[1])
    added = p50(over_http) - p50(direct)
    say(f"exec true: {p50(over_http):.3f} ms over HTTP, {p50(direct):.3f} ms from the guest")
    return [Row("exec true, over HTTP vs the guest itself", f"{p50(over_http):.2f} ms (p90 {p90(over_http):.2f})",
                f"{p50(direct):.2f} ms (p90 {p90(direct):.2f})", f"+{added:.2f} ms", f"<= +{MOST_ADDED_MS} ms",
                added <= MOST_ADDED_MS, {"http_ms": over_http, "guest_ms": direct})]
