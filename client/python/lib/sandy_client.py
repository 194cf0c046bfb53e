"""The Sandy client under the name that agents inside a sandbox import it by: `from lib.sandy_client import SandyClient`."""

from sandy import (
    ExecResult,
    Sandbox,
    SandyClient,
    SandyError,
    SyncSandyClient,
    create_webapp_sandbox,
    run_isolated_task,
)

__all__ = [
    "ExecResult",
    "Sandbox",
    "SandyClient",
    "SandyError",
    "SyncSandyClient",
    "create_webapp_sandbox",
    "run_isolated_task",
]
