"""Authorities, and the certificates that the nodes of a cluster show each other."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificate:
    """Files (PEM)."""

    certificate: Path
    key: Path
    authority: Path


class Authority:
    """Vouches for nodes. @param folder made here; holds an authority of its own"""

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir()
        self._openssl("req", "-x509", *self._new_key("authority"), "-days", "2", "-subj", "/CN=Authority of the test", "-out", "authority.pem")

    def certificate(self, name: str) -> Certificate:
        """That of the node with this name, for both sides of its connections."""
        extensions = self._folder / f"{name}.extensions"
        extensions.write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", *self._new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-out", f"{name}.pem")
        return Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key", self._folder / "authority.pem")

    def _new_key(self, name: str) -> tuple:
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"

    def _openssl(self, *words) -> None:
        done = subprocess.run(["openssl", *map(str, words)], cwd=self._folder, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)
