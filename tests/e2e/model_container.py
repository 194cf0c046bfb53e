"""What runs in a container that plays a model: it answers as the messages it is sent ask it to. Python alone."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENT = 'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n'


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chats = 0

    def log_message(self, form, *arguments):
        print(form % arguments, flush=True)

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.reply(200, b'{"status": "ok"}')
        elif self.path == "/v1/models":
            self.reply(200, b'{"object": "list", "data": [{"id": "mine"}]}')
        elif self.path == "/env":
            self.reply(200, json.dumps(dict(os.environ)).encode())
        else:
            self.reply(404, b"{}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        what = body["messages"][-1]["content"]
        Model.chats += 1
        if not body.get("stream"):
            getattr(self, "plain_" + what.split()[0], self.plain)(what)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        getattr(self, "stream_" + what.split()[0], self.stream)(what)
        self.wfile.write(b"0\r\n\r\n")

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def plain(self, what):
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = {"choices": [{"message": {"role": "assistant", "content": what}}], "headers": headers, "env": dict(os.environ)}
        self.reply(200, json.dumps(answer).encode())

    def plain_refuse(self, _):
        self.reply(429, b'{"error": {"message": "enough"}}')

    def plain_fail(self, _):
        self.reply(500, b'{"error": {"message": "no idea"}}')

    def plain_hang(self, _):
        time.sleep(3600)

    def plain_garbage(self, _):
        self.wfile.write(b"\x00\xff this is no HTTP\r\n\r\n")
        self.close_connection = True

    def plain_die(self, _):
        print("out of ideas", flush=True)
        os._exit(3)

    def stream(self, what):
        for word in what.split():
            self.send(EVENT % word)
        self.send("data: [DONE]\n\n")

    def stream_tired(self, _):
        """Says nothing when it is not the first of all chats."""
        if self.chats > 1:
            time.sleep(3600)
        self.stream("spoken")

    def stream_unended(self, _):
        self.send(EVENT % "more to come")

    def stream_slow(self, _):
        self.send(EVENT % "begin")
        time.sleep(4)
        self.send(EVENT % "end")
        self.send("data: [DONE]\n\n")

    def stream_die(self, _):
        self.send(EVENT % "begin")
        self.send('data: {"half')
        os._exit(3)

    def stream_hang(self, _):
        self.send(EVENT % "begin")
        time.sleep(3600)

    def stream_dribble(self, _):
        for _ in range(100):
            self.send("x")
            time.sleep(0.1)

    def plain_dribble(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def stream_long(self, _):
        self.send("data: " + "x" * (10 << 20) + "\n\n")
        self.send("data: [DONE]\n\n")

    def stream_garbage(self, _):
        self.send(b"\x00\xff\r\nnot an event\n\ndata:")
        self.wfile.write(b"zz\r\n")
        self.close_connection = True


if __name__ == "__main__":
    print("model starts", flush=True)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ["PORT"])
    ThreadingHTTPServer((os.environ["HOST"], port), Model).serve_forever()
