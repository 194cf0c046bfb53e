"""Serves OpenAI's chat completions, as a Janus container has to, with nothing but the standard library.

A program says how it answers: a function from a `Chat` to an iterator of deltas (`{"content": ...}`,
`{"reasoning_content": ...}`, `{"janus": {"event", "payload"}}`). It runs on a thread of its own, so that a client hears a
comment at least every 1.5 s, and is closed as soon as the client is gone.

Environment: PORT (8080), HOST (0.0.0.0), BASELINE_CONCURRENCY (8), JANUS_TIMEOUT (300 s for a whole answer), JANUS_LOG_LEVEL.
"""

import json
import logging
import os
import queue
import signal
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List, Optional

log = logging.getLogger("baseline")

LARGEST_BODY = 10_485_760  # what the gateway takes, too
SILENCE = 1.5  # seconds after which a client hears a comment
END_PATIENCE = 8  # seconds for what is under way to clear away; whoever ends a container waits longer
FIRST_PATIENCE = 1.5  # what fails sooner is told by the status
Delta = Dict[str, Any]


class Refusal(Exception):
    """Why a request is not answered. The text goes to the client."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status, self.text = status, text


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Chat:
    """One request. `usage` is what the program counted; it may fill it while it answers."""

    def __init__(self, body: Dict[str, Any], headers: Any):
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
            raise Refusal(422, "messages must be a list that is not empty")
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise Refusal(422, "model is required")
        self.body, self.headers = body, headers
        self.messages: List[Dict[str, Any]] = messages
        self.model: str = body["model"]
        self.stream = bool(body.get("stream"))
        self.id = headers.get("X-Request-Id") or "chatcmpl-" + uuid.uuid4().hex[:24]
        self.usage: Dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        self.gone = threading.Event()
        self.deadline = time.monotonic() + float(os.environ.get("JANUS_TIMEOUT") or 300)

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def check(self) -> None:
        """Raises when it is of no use to go on."""
        if self.gone.is_set():
            raise Gone
        if self.seconds_left() <= 0:
            raise Refusal(504, "Request timed out")

    def count(self, prompt: int, completion: int) -> None:
        self.usage["prompt_tokens"] += prompt
        self.usage["completion_tokens"] += completion
        self.usage["total_tokens"] += prompt + completion


Answer = Callable[[Chat], Iterator[Delta]]


def text_of(content: Any) -> str:
    """The text of a message, whatever form it came in."""
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and part.get("type") == "text":
            texts.append(str(part.get("text") or ""))
        elif isinstance(part, dict) and part.get("type") == "image_url":
            url = str((part.get("image_url") or {}).get("url") or "")
            texts.append("[an image]" if url.startswith("data:") else f"[an image: {url}]")
    return "\n".join(texts)


class Work:
    """An answer in the making, on a thread of its own. Iterating gives its deltas, and None after a silence."""

    END = object()

    def __init__(self, answer: Answer, chat: Chat, working: "set[Work]"):
        self.chat, self.working = chat, working
        self.items: "queue.Queue[Any]" = queue.Queue(maxsize=256)
        self.thread = threading.Thread(target=self.run, args=(answer,), daemon=True)
        working.add(self)
        self.thread.start()

    def run(self, answer: Answer) -> None:
        deltas = answer(self.chat)
        try:
            for delta in deltas:
                self.put(delta)
                self.chat.check()
            self.put(self.END)
        except Gone:
            log.info("%s: the client has gone", self.chat.id)
        except Refusal as refusal:
            self.put(refusal)
        except Exception as failure:  # whatever a library raises: the client is told, and the log how it came
            log.exception("%s failed", self.chat.id)
            self.put(Refusal(502, f"{type(failure).__name__}: {failure}"[:300]))
        finally:
            try:
                deltas.close()
            finally:
                self.working.discard(self)

    def put(self, item: Any) -> None:
        while not self.chat.gone.is_set():
            try:
                return self.items.put(item, timeout=1)
            except queue.Full:
                continue
        if item is not self.END and not isinstance(item, Refusal):
            raise Gone

    def next(self, patience: float) -> Any:
        """@returns a delta, END, a Refusal, or None when nothing came in time."""
        try:
            return self.items.get(timeout=patience)
        except queue.Empty:
            return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75  # of a connection that nobody uses
    server: "Server"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self.reply(200, {"status": "ok"})
        elif path == "/v1/models":
            model = {"id": self.server.name, "object": "model", "created": self.server.started, "owned_by": "janus"}
            self.reply(200, {"object": "list", "data": [model]})
        else:
            self.refuse(Refusal(404, "Not Found"))

    def do_POST(self) -> None:
        try:
            body = self.read_body()  # also of what is refused: the next request follows it
            if self.path.partition("?")[0] != "/v1/chat/completions":
                raise Refusal(404, "Not Found")
            chat = Chat(body, self.headers)
        except Refusal as refusal:
            return self.refuse(refusal)
        if not self.server.turns.acquire(blocking=False):
            return self.refuse(Refusal(503, "Too many requests are being answered"))
        try:
            self.answer(chat)
        except OSError:  # the client's end of the connection is closed
            self.close_connection = True
        finally:
            chat.gone.set()
            self.server.turns.release()

    def read_body(self) -> Dict[str, Any]:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Refusal(413 if length.isdigit() and int(length) > LARGEST_BODY else 411, "The body is too large or of unknown size")
        try:
            body = json.loads(self.rfile.read(int(length)) or b"{}")
        except (ValueError, RecursionError):
            raise Refusal(400, "The body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(422, "The body is not an object")
        return body

    def answer(self, chat: Chat) -> None:
        work = Work(self.server.answer, chat, self.server.working)
        if chat.stream:
            self.answer_events(chat, work)
        else:
            self.answer_at_once(chat, work)

    def answer_at_once(self, chat: Chat, work: Work) -> None:
        message: Dict[str, Any] = {"role": "assistant", "content": ""}
        while (item := work.next(SILENCE)) is not Work.END:
            if item is None:
                self.check_client()
                continue
            if isinstance(item, Refusal):
                return self.refuse(item)
            for key in ("content", "reasoning_content"):
                if item.get(key):
                    message[key] = message.get(key, "") + item[key]
            if (item.get("janus") or {}).get("event") == "artifacts":
                message["artifacts"] = item["janus"]["payload"]["items"]
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.reply(200, {**self.head(chat, "chat.completion"), "choices": [choice], "usage": chat.usage})

    def answer_events(self, chat: Chat, work: Work) -> None:
        first = work.next(FIRST_PATIENCE)
        if isinstance(first, Refusal):
            return self.refuse(first)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Request-Id", chat.id)
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.send_delta(chat, {"role": "assistant", "content": ""})
        item = first
        while item is not Work.END:
            if item is None:
                self.wfile.write(b": ping\n\n")
            elif isinstance(item, Refusal):
                self.send_delta(chat, {"content": f"\n\nError: {item.text}"})
                break
            else:
                self.send_delta(chat, item)
            item = work.next(SILENCE)
        self.send_delta(chat, {}, "stop")
        if (chat.body.get("stream_options") or {}).get("include_usage") or "sandbox_seconds" in chat.usage:
            self.send({**self.head(chat, "chat.completion.chunk"), "choices": [], "usage": chat.usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def check_client(self) -> None:
        """Raises when it has hung up. What it sends ahead stays where it is."""
        self.connection.setblocking(False)
        try:
            if self.connection.recv(1, 2) == b"":  # MSG_PEEK
                raise BrokenPipeError
        except BlockingIOError:
            pass
        finally:
            self.connection.settimeout(self.timeout)

    def head(self, chat: Chat, kind: str) -> Dict[str, Any]:
        return {"id": chat.id, "object": kind, "created": int(time.time()), "model": chat.model}

    def send_delta(self, chat: Chat, delta: Delta, reason: Optional[str] = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self.send({**self.head(chat, "chat.completion.chunk"), "choices": [choice]})

    def send(self, chunk: Dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def refuse(self, refusal: Refusal) -> None:
        kind = "invalid_request_error" if refusal.status < 500 else "api_error"
        error = {"message": refusal.text, "type": kind, "param": None, "code": None}
        self.reply(refusal.status, {"detail": refusal.text, "error": error})

    def reply(self, status: int, body: Dict[str, Any]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        if status == 503:
            self.send_header("Retry-After", "5")
        self.end_headers()
        self.wfile.write(encoded)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, answer: Answer):
        super().__init__((os.environ.get("HOST") or "0.0.0.0", int(os.environ.get("PORT") or 8080)), Handler)
        self.name, self.answer, self.started = name, answer, int(time.time())
        self.turns = threading.Semaphore(int(os.environ.get("BASELINE_CONCURRENCY") or 8))
        self.working: "set[Work]" = set()

    def handle_error(self, *_: Any) -> None:
        pass  # a client that hung up; what else fails is told where it happens


def serve(name: str, answer: Answer) -> None:
    """Answers until it is told to end; then what is under way is given up, so that it is cleared away."""
    logging.basicConfig(level=(os.environ.get("JANUS_LOG_LEVEL") or "INFO").upper(), format="%(levelname)s %(message)s")
    server = Server(name, answer)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log.info("%s listens on port %d", name, server.server_port)
    ended.wait()
    server.shutdown()
    under_way = list(server.working)
    for work in under_way:
        work.chat.gone.set()
    latest = time.monotonic() + END_PATIENCE
    for work in under_way:
        work.thread.join(max(0.0, latest - time.monotonic()))
