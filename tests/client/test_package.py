"""The package as it is installed."""

import subprocess
import sys
from pathlib import Path

import sandy

CLIENT = Path(sandy.__file__).parents[1]


def test_the_client_installs_from_its_folder(tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([*install, "--no-build-isolation", "--no-deps", "--target", tmp_path, CLIENT], check=True)
    # `lib` is the images' affair: nobody wants a package of that name in an environment of theirs.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sandy", "sandy-0.1.0.dist-info"]
    assert (tmp_path / "sandy" / "py.typed").exists()
    code = "import sandy; print(sandy.SandyClient.__module__)"
    ran = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, cwd="/", capture_output=True, text=True)
    assert ran.stdout == "sandy.async_client\n", ran.stderr
