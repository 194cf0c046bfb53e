"""What the nodes of a cluster know each other by, as the operator's tool makes it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from running_server import PROGRAM


@dataclass
class Certificate:
    """Files (PEM)."""

    certificate: Path
    key: Path
    authority: Path


class Authority:
    """Vouches for nodes. @param folder where all of its files are"""

    def __init__(self, folder: Path):
        self._folder = folder

    def certificate(self, name: str) -> Certificate:
        """That of the node with this name, for both sides of its connections; made once."""
        command = [PROGRAM.parent / "sandy", "cluster", "certs", self._folder, name]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return Certificate(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem", self._folder / "ca.pem")
