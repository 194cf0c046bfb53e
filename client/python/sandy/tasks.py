"""Common jobs in one call. They talk to the server that SANDY_BASE_URL and SANDY_API_KEY name."""

from __future__ import annotations

from contextlib import suppress

from .async_client import SandyClient
from .errors import SandyError
from .models import ExecResult, Sandbox

# What runs a script, and how its file is called, so that tracebacks name something sensible.
_LANGUAGES = {
    "python": ("python3", "task.py"),
    "node": ("node", "task.js"),
    "javascript": ("node", "task.js"),
    "bash": ("bash", "task.sh"),
    "sh": ("sh", "task.sh"),
}
# Creating, writing and ending take time of the sandbox's life too.
_LIFE_BEYOND_TASK_SECONDS = 60


async def create_webapp_sandbox(port: int = 3000, ttl_minutes: int = 30) -> Sandbox:
    """Creates a sandbox that serves `port` to the outside."""
    async with SandyClient() as client:
        return await client.create_sandbox(ttl_seconds=ttl_minutes * 60, expose_ports=[port])


async def run_isolated_task(script: str, language: str = "python", timeout: int = 300) -> ExecResult:
    """Runs a script in a sandbox of its own, which ends with it.

    Args:
        language: python, node (javascript), bash or sh.
        timeout: seconds the script may take; then the exit code is 124.
    """
    if language.lower() not in _LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(_LANGUAGES)}, not {language!r}")
    interpreter, name = _LANGUAGES[language.lower()]
    async with SandyClient() as client:
        sandbox = await client.create_sandbox(ttl_seconds=timeout + _LIFE_BEYOND_TASK_SECONDS)
        try:
            await client.write_file(sandbox.id, f"/workspace/{name}", script)
            return await client.exec_command(sandbox.id, f"{interpreter} /workspace/{name}", timeout=timeout)
        finally:
            # The result is known; a sandbox that cannot be ended now ends by its lifetime.
            with suppress(SandyError):
                await client.terminate(sandbox.id)
