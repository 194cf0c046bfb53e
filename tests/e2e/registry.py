"""Registries for tests: Debian's own, and one that does what no registry should."""

import hashlib
import http.server
import json
import re
import subprocess
import threading
from pathlib import Path

from oci_archive import ARCHITECTURE, digest, oci_archive

# "keeper" with the password "secret", as htpasswd -B writes it.
USER = "keeper:$2b$04$P39E8hsRpasKEdX76RXgw.aBpI6A07ctgslDk1yti6JmQRrVMvALu\n"
AUTH = "a2VlcGVyOnNlY3JldA=="


class Registry:
    """docker-registry on a port of its own. `place` is its directory."""

    def __init__(self, place: Path, private: bool = False):
        self.place = place
        place.mkdir()
        auth = ""
        if private:
            (place / "htpasswd").write_text(USER)
            auth = f"auth: {{htpasswd: {{realm: tests, path: {place}/htpasswd}}}}\n"
        (place / "config.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\n{auth}"
            'http: {addr: "127.0.0.1:0", secret: tests}\n'
        )
        self.log = []
        self.process = subprocess.Popen(
            ["docker-registry", "serve", place / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if found := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                self.host = found[1]
                break
        threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True).start()
        self.auth_file = place / "auth.json"
        self.auth_file.write_text(json.dumps({"auths": {self.host: {"auth": AUTH}}}))

    def push(self, name: str, layers, **config) -> str:
        """@returns the digest of the manifest."""
        archive, told = self.place / "pushed.tar", self.place / "digest"
        archive.write_bytes(oci_archive(layers, **config))
        subprocess.run(
            ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--authfile", self.auth_file, "--digestfile", told,
             f"oci-archive:{archive}", f"docker://{self.host}/{name}"], check=True,
        )  # fmt: skip
        return told.read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Strange:
    """A registry with one image, `agent:1`, of one layer; `layer` writes that to whoever asks for it."""

    def __init__(self, layer, announced: bytes, size: int):
        config = json.dumps(
            {"os": "linux", "architecture": ARCHITECTURE, "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(announced)]}}
        ).encode()
        media = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = json.dumps(
            {
                "schemaVersion": 2, "mediaType": media,
                "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest(config)},
                "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": size, "digest": digest(announced)}],
            }
        ).encode()  # fmt: skip

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if "/blobs/" in self.path and self.path.endswith(digest(announced)):
                    self.send_response(200)
                    self.send_header("Connection", "close")
                    self.close_connection = True
                    self.end_headers()
                    try:
                        layer(self.wfile)
                    except OSError:
                        pass  # whoever asked has gone
                    return
                body, kind = (manifest, media) if "/manifests/" in self.path else (config, "application/json")
                if self.path == "/v2/":
                    body, kind = b"{}", "application/json"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
                self.end_headers()
                self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
