"""A model that answers chat completions as a test says: chunk by chunk, and remembers what it was asked."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chunk(delta: dict, finish=None, **more) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def call(index: int, arguments: str, **first) -> dict:
    """A piece of a call of a tool; the first of each has `id` and `name`."""
    made = {"index": index, "function": {"arguments": arguments}}
    if first:
        made = {"index": index, "id": first["id"], "type": "function", "function": {"name": first["name"], "arguments": arguments}}
    return chunk({"tool_calls": [made]})


USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 60}}


class TellingModel(ThreadingHTTPServer):
    """`chunks` is the stream, `whole` the answer that is none; a chunk that is None breaks the connection."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status, self.chunks, self.whole, self.asked = 200, [], {}, []

    def says(self, *chunks, finish="stop") -> None:
        """The next answers: a stream of these, and then its usual end."""
        self.chunks = [*chunks, chunk({}, finish), {**chunk({}), "choices": [], "usage": USAGE}]

    def answers(self, message: dict, finish="stop") -> None:
        """The next answers that are no stream."""
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        self.whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Nothing on standard error."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        streamed = body.get("stream") and self.server.status == 200
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        if not streamed:
            encoded = json.dumps(self.server.whole).encode()
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)
            return
        self.send_header("Connection", "close")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for each in self.server.chunks:
            if each is None:
                return
            self.write(f"data: {json.dumps(each)}\n\n")
        self.write("data: [DONE]\n\n")
        self.write("")

    def write(self, text: str) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()


@contextlib.contextmanager
def telling_model():
    with TellingModel() as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            model.shutdown()
            thread.join()
