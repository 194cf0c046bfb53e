"""LiteLLM's proxy as a peer: what people put in front of models today."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from nginx_peer import free_port

REQUIREMENTS = Path(__file__).parent / "requirements-litellm.txt"
HOME = Path(__file__).resolve().parents[1] / "build" / "bench" / "litellm"


@contextlib.contextmanager
def litellm(model_port):
    """One worker, whose model "mock" is the server behind; gives its port and its pid."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sandy-bench-litellm-") as folder:
        config = Path(folder, "config.yaml")
        config.write_text(f"""
            model_list:
              - model_name: mock
                litellm_params: {{model: openai/mock, api_base: "http://127.0.0.1:{model_port}/v1", api_key: none}}
            """)
        # No prices from the net, no reports to anybody.
        environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}
        command = [_program(), "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(30)


def _program():
    """Installed once for this tree; its version is pinned."""
    stamp = HOME / "requirements"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        print("installing LiteLLM", file=sys.stderr, flush=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", HOME], check=True)
        subprocess.run([HOME / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS], check=True)
        stamp.write_text(REQUIREMENTS.read_text())
    return HOME / "bin" / "litellm"


def _await(port, process):
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=1).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("LiteLLM did not start")
