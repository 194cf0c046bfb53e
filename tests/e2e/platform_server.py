"""A stand-in platform, as Janus containers find it: models (of model_server.py), a search, a memory, programs in a sandbox."""

import http.client
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SERVICES = {
    "/search": {"results": [{"title": "A page", "url": "https://example.com/", "snippet": "what was looked for"}]},
    "/memory/query": {"memories": [{"id": "m1", "caption": "likes tea"}]},
    "/memory/store": {"memories_saved": 1, "total_user_memories": 1},
    "/sandbox/exec": {"stdout": "forty-two\n", "stderr": "", "exit_code": 0, "exitCode": 0, "sandbox_id": "none"},
}


class Platform:
    """Listens on 127.0.0.1 until `end`. `asked` are the paths and keys of its callers."""

    def __init__(self, *options):
        program = Path(__file__).parent / "model_server.py"
        self.model = subprocess.Popen([sys.executable, program, *options], stdout=subprocess.PIPE, text=True)
        model_port = int(self.model.stdout.readline())
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.send_response(200)
                self.end_headers()

            def do_GET(self):
                self.forward(b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked.append((self.path, self.headers.get("Authorization") or self.headers.get("x-api-key")))
                if (answer := SERVICES.get(self.path)) is not None:
                    encoded = json.dumps(answer).encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(encoded)))
                    self.end_headers()
                    self.wfile.write(encoded)
                else:
                    self.forward(body)

            def forward(self, body):
                """As it comes, to its end."""
                upstream = http.client.HTTPConnection("127.0.0.1", model_port)
                kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "content-length")}
                upstream.request(self.command, self.path, body=body, headers=kept)
                answer = upstream.getresponse()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.end_headers()
                try:
                    while piece := answer.read1(65536):
                        self.wfile.write(piece)
                except (http.client.IncompleteRead, OSError):
                    pass  # the model was cut off, or whoever asked has gone
                finally:
                    upstream.close()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.model.kill()
        self.model.wait()
