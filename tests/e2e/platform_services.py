"""Stand-ins for the services of a platform, and what asks for them inside a sandbox."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "platform-key-5d41402abc4b2a76b9719d911017c592"

# Runs inside a sandbox. Prints what came back as JSON: status, headers, body (latin-1), or the error's name.
INSIDE = r'''
import http.client, json, socket, sys
def ask(path, body=None, method="POST", host="platform-proxy", headers={}, timeout=30):
    connection = http.client.HTTPConnection(host, 8000, timeout=timeout)
    try:
        connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
                           {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        head = {name.lower(): value for name, value in answer.getheaders()}
        try:
            text, cut = answer.read(), False
        except http.client.IncompleteRead as partial:
            text, cut = partial.partial, True
        return {"status": answer.status, "headers": head, "body": text.decode("latin-1"), "cut": cut}
    except OSError as error:
        return {"error": type(error).__name__}
    finally:
        connection.close()
def say(value):
    print(json.dumps(value))
'''


def inside(api, box: str, program: str, **fields):
    """What a program that uses INSIDE says, in a sandbox."""
    api.write(box, "/tmp/ask.py", INSIDE + program)
    return json.loads(api.output(box, "python3 /tmp/ask.py", **fields))


def event(**data) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(text: str, **more) -> bytes:
    return event(object="chat.completion.chunk", choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more)


DONE = b"data: [DONE]\n\n"


class Services:
    """One server for all services: a test says what each path does. Notes what comes: (method, path, headers, body)."""

    def __init__(self):
        self.came = []
        self.paths = {}
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                services.came.append((self.command, self.path, headers, body))
                services.paths.get(self.path.split("?")[0], services.echo)(self, body)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass

            def json(self, value, status=200, **headers):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, text in headers.items():
                    self.send_header(name.replace("_", "-"), text)
                self.end_headers()
                self.wfile.write(body)

            def begin_events(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def send_piece(self, piece: bytes):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()

            def end_pieces(self):
                self.wfile.write(b"0\r\n\r\n")

            def events(self, *pieces):
                self.begin_events()
                for piece in pieces:
                    self.send_piece(piece)
                self.end_pieces()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def echo(self, handler, body):
        handler.json({"path": handler.path})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def configuration(url: str, **more) -> str:
    """A file that offers the usual services at one server. @param more lines of the tables, by name."""
    targets = {
        "llm": "/v1/chat/completions", "embeddings": "/v1/embeddings", "search": "/api/search", "speech": "/v1/audio/speech",
        "memory_query": "", "memory_store": "",
    }
    text = more.pop("top", "")
    for name, path in targets.items():
        text += f'\n[platform.{name}]\ntarget = "{url}{path}"\nkey = "{KEY}"\n'
        if name.startswith("memory"):
            text += f'translate = "{name}"\n'
        text += more.pop(name, "")
    return text + "".join(more.values())
