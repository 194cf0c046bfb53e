"""The gateway beside nginx as a plain proxy and LiteLLM's proxy: one core each, before the same stand-in for a model (nginx, which
answers at once). Then hundreds of token streams through the gateway. Client and model share the other core."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import sse_load
from awake import awake_cores
from litellm_peer import litellm
from nginx_peer import CLIENT_CORE, SERVER_CORE, Load, free_port, nginx, pin
from report import Row, at_least, below
from sandy_peer import SandyServer
from session import undisturbed
from timing import p50

PATH = "/v1/chat/completions"
CONNECTIONS = 64
STREAMS, TOKENS_PER_SECOND = 512, 10
# LiteLLM's requests per second and latency against ours, and ours against nginx's.
LEAST_OF_NGINX, LEAST_OF_LITELLM, MOST_ADDED, LEAST_LESS = 0.5, 20, 3, 20
MOST_TOKEN_DELAY_MS = 1
QUESTION = {"model": "mock", "messages": [{"role": "user", "content": "Say as much as a short answer has: some hundred bytes in all."}]}
ANSWER = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock",
          "choices": [{"index": 0, "message": {"role": "assistant", "content": "A short answer, of some hundred bytes in all, as models give them."},
                       "finish_reason": "stop"}],
          "usage": {"prompt_tokens": 20, "completion_tokens": 15, "total_tokens": 35}}
PROXY = """location / {
  proxy_pass http://behind; proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_set_header Connection "";
}"""


def run(session):
    return _proxies(session) + _streams(session)


def _proxies(session):
    rounds, seconds = (2, 1) if session.quick else (8, 3)
    with _peers() as (peers, script):
        def load(name, connections, cores=contextlib.nullcontext):
            def batch():
                with cores():
                    return [Load(f"http://127.0.0.1:{port}{PATH}", pid, seconds, connections, headers, script)]

            port, pid, headers = peers[name]
            return session.measure(batch)

        many, single = {name: [] for name in peers}, {name: [] for name in peers}
        for number in range(rounds):
            for name in peers if number % 2 == 0 else reversed(peers):
                single[name].append(load(name, 1, awake_cores))
                many[name].append(load(name, CONNECTIONS))
            session.say(f"round {number + 1}/{rounds}: " + "; ".join(
                f"{name} {single[name][-1].values[0].median_us:.0f} us, {many[name][-1].values[0].per_second:.0f}/s" for name in peers))
    many, single = undisturbed(many), undisturbed(single)
    rate = {name: p50([each.per_second for each in loads]) for name, loads in many.items()}
    cost = {name: p50([each.cpu_us_each for each in loads]) for name, loads in many.items()}
    latency = {name: p50([each.median_us for each in loads]) for name, loads in single.items()}
    added = {name: latency[name] - latency["direct"] for name in peers}
    details = {"requests/s": rate, "CPU us each": cost, "median us": latency}
    return [
        at_least("gateway: chats per second, one core, vs nginx", *_rates(rate, "nginx"), rate["Sandy"] / rate["nginx"], LEAST_OF_NGINX, details),
        at_least("gateway: the same, vs LiteLLM", *_rates(rate, "LiteLLM"), rate["Sandy"] / rate["LiteLLM"], LEAST_OF_LITELLM, details),
        Row("gateway: CPU per chat, vs nginx", f"{cost['Sandy']:.1f} us", f"{cost['nginx']:.1f} us", f"{cost['Sandy'] / cost['nginx']:.2f} x"),
        _added(added, details),
        at_least("gateway: the same, times less than LiteLLM", f"{added['Sandy']:.0f} us", f"{added['LiteLLM']:.0f} us",
                 added["LiteLLM"] / added["Sandy"], LEAST_LESS, details),
    ]


def _rates(rate, peer):
    return f"{rate['Sandy']:.0f}/s", f"{rate[peer]:.0f}/s"


def _added(added, details):
    times = added["Sandy"] / added["nginx"]
    return Row("gateway: added p50 latency, one connection, cores kept awake, vs nginx", f"{added['Sandy']:.0f} us", f"{added['nginx']:.0f} us",
               f"{times:.2f} x", f"<= {MOST_ADDED} x", times <= MOST_ADDED, details)


@contextlib.contextmanager
def _peers():
    """For each peer its port, its pid and the headers of requests; "direct" is the model. And wrk's script that asks."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sandy-bench-gateway-")))
        model_port, proxy_port = free_port(), free_port()
        model = stack.enter_context(nginx(model_port, f"location / {{ return 200 '{json.dumps(ANSWER)}'; }}"))
        more = f"upstream behind {{ server 127.0.0.1:{model_port}; keepalive {CONNECTIONS}; }}"
        proxy = stack.enter_context(nginx(proxy_port, PROXY, more))
        litellm_port, litellm_pid = stack.enter_context(litellm(model_port))
        sandy = stack.enter_context(_gateway(folder, model_port))
        script = folder / "post.lua"
        script.write_text(f"wrk.method = 'POST'\nwrk.body = [[{json.dumps(QUESTION)}]]\nwrk.headers['Content-Type'] = 'application/json'\n")
        for pid, core in ((sandy.pid, SERVER_CORE), (proxy, SERVER_CORE), (litellm_pid, SERVER_CORE), (model, CLIENT_CORE)):
            pin(pid, core)
        key = [f"Authorization: Bearer {sandy.server.api_key}"]
        yield {"Sandy": (_port(sandy), sandy.pid, key), "nginx": (proxy_port, proxy, ()), "LiteLLM": (litellm_port, litellm_pid, ()),
               "direct": (model_port, model, ())}, script


def _gateway(folder, model_port):
    config = folder / "sandy.toml"
    config.write_text(f'[[models]]\nid = "mock"\nurl = "http://127.0.0.1:{model_port}"\n')
    # Budgets of tenants are not what is measured, nor is writing a line per request: the others write none.
    return SandyServer("--threads", 1, "--config", config, "--tenant-requests-per-second", 0, "--log-level", "warn")


def _port(sandy):
    return int(sandy.url.rpartition(":")[2])


def _streams(session):
    """How late tokens are through the gateway, and how late without it: their reader is late, too."""
    streams, seconds = (100, 3) if session.quick else (STREAMS, 20)
    with tempfile.TemporaryDirectory(prefix="sandy-bench-gateway-") as folder:
        direct = _late(streams, seconds, None, folder)
        late, memory, cpu = _late(streams, seconds, SandyServer, folder)
    expected = streams * TOKENS_PER_SECOND * seconds
    ours, theirs = _quantiles(late), _quantiles(direct[0])
    session.say(f"{streams} token streams: {len(late)} of {expected} tokens, late p50 {ours[0]:.2f} ms, p99 {ours[1]:.2f} ms, most {ours[2]:.1f} ms; "
                f"without the gateway {theirs[0]:.2f}, {theirs[1]:.2f}, {theirs[2]:.1f}; server {cpu / seconds * 100:.0f} % of a core")
    return [
        below(f"gateway: {streams} token streams, {TOKENS_PER_SECOND}/s each: delay of a token, p99", f"{ours[1]:.2f} ms (p50 {ours[0]:.2f})", ours[1],
              MOST_TOKEN_DELAY_MS, "ms", {"ms": ours, "without the gateway": theirs}),
        Row("the same, without the gateway", f"{theirs[1]:.2f} ms (p50 {theirs[0]:.2f})"),
        Row("the same: tokens that came, of those that should; the longest delay", f"{len(late) / expected * 100:.1f} %; {ours[2]:.0f} ms"),
        Row(f"the same: CPU; growth of the server in {seconds} s", f"{cpu / seconds * 100:.0f} % of a core; {(memory[-1] - memory[0]) / 1024:.1f} MiB"),
    ]


def _late(streams, seconds, through, folder):
    command = [sys.executable, sse_load.PRODUCER, *map(str, (0, streams, TOKENS_PER_SECOND, CLIENT_CORE))]
    producer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(producer.stdout.readline())
        body = json.dumps(QUESTION | {"stream": True})
        with _gateway(Path(folder), port) if through else contextlib.nullcontext() as sandy:
            key = f"Authorization: Bearer {sandy.server.api_key}\r\n" if sandy else ""
            if sandy:
                pin(sandy.pid, SERVER_CORE)
            request = f"POST {PATH} HTTP/1.1\r\nHost: bench\r\n{key}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            own = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {CLIENT_CORE})
            try:
                return sse_load.read(_port(sandy) if sandy else port, request.encode(), sandy.pid if sandy else producer.pid, streams, seconds)
            finally:
                os.sched_setaffinity(0, own)
    finally:
        producer.kill()
        producer.wait()


def _quantiles(late):
    """Milliseconds: median, 99 of 100, the longest."""
    late = sorted(late)
    return late[len(late) // 2] / 1e6, late[int(len(late) * 0.99)] / 1e6, late[-1] / 1e6
