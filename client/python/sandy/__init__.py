"""Client for Sandy: isolated sandboxes for AI agents over HTTP.

`SandyClient` is asynchronous, `SyncSandyClient` is its blocking twin with the same methods. Failures are `SandyError`.
"""

from .async_client import OutputStream, SandyClient
from .errors import SandyError
from .models import Connection, ExecResult, OutputChunk, Sandbox
from .sync_client import SyncOutputStream, SyncSandyClient
from .tasks import create_webapp_sandbox, run_isolated_task
from .webapp import deploy_webapp

__all__ = [
    "Connection",
    "ExecResult",
    "OutputChunk",
    "OutputStream",
    "Sandbox",
    "SandyClient",
    "SandyError",
    "SyncOutputStream",
    "SyncSandyClient",
    "create_webapp_sandbox",
    "deploy_webapp",
    "run_isolated_task",
]
