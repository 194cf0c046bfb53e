"""Hosting a web application in a sandbox. Talks to the server that SANDY_BASE_URL and SANDY_API_KEY name."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import Mapping, Optional, Tuple, Union

from .async_client import SandyClient
from .errors import SandyError
from .models import Sandbox

_LOG = "/tmp/app.log"
_EXIT = "/tmp/app.exit"
# Packages come over a network; more than this means that the network is the problem.
_INSTALL_SECONDS = 600

# Waits inside the sandbox, so that it works without any way in from outside. Any HTTP answer counts: a page that says 404
# is an application that runs. Ends at once when the start command failed; one that ended well may have left a daemon.
_WAIT = """
deadline=$((SECONDS + {seconds}))
while [ $SECONDS -lt $deadline ]; do
  if command -v curl >/dev/null; then
    curl --silent --output /dev/null --max-time 5 --noproxy '*' http://127.0.0.1:{port}/ && exit 0
  else
    (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 0
  fi
  code=$(cat {exit} 2>/dev/null || echo 0)
  [ "$code" = 0 ] || {{ echo "the start command ended with exit code $code"; exit 1; }}
  sleep 0.2
done
echo "nothing answered on port {port} within {seconds} seconds"
exit 1
"""


async def deploy_webapp(
    files: Mapping[str, Union[str, bytes]],
    start_command: str,
    port: int = 3000,
    ttl_minutes: int = 30,
    install_command: Optional[str] = None,
    ready_timeout: int = 60,
) -> Tuple[Sandbox, str]:
    """Writes an application into a new sandbox, starts it and waits until it answers.

    Args:
        files: contents by path (absolute, or relative to /workspace).
        start_command: keeps running, for example `cd app && node index.js`.
        port: where the application listens; served to the outside.
        ttl_minutes: how long the sandbox lives.
        install_command: run before, for example `cd app && npm install`.
        ready_timeout: seconds the application has to answer its first request.

    Returns:
        The sandbox and the public address of the application.

    Raises:
        SandyError: `install_failed` and `app_not_ready` carry the end of what the command printed. The sandbox is ended.
    """
    async with SandyClient() as client:
        sandbox = await client.create_sandbox(ttl_seconds=ttl_minutes * 60, expose_ports=[port])
        try:
            for path, content in files.items():
                await client.write_file(sandbox.id, path, content)
            if install_command:
                await _install(client, sandbox, install_command)
            await _start(client, sandbox, start_command, port, ready_timeout)
            return sandbox, client.port_url(sandbox, port)
        except BaseException:
            with suppress(SandyError):
                await client.terminate(sandbox.id)
            raise


async def _install(client: SandyClient, sandbox: Sandbox, command: str) -> None:
    out, err, code = await client.exec_command(sandbox.id, command, timeout=_INSTALL_SECONDS)
    if code != 0:
        raise SandyError(200, "install_failed", f"the install command ended with exit code {code}: {(err or out)[-2000:]}")


async def _start(client: SandyClient, sandbox: Sandbox, command: str, port: int, seconds: int) -> None:
    # A session of its own: signals to the shell that starts it do not reach it.
    script = f"( {command}\n) >{_LOG} 2>&1 </dev/null; echo $? >{_EXIT}"
    await client.exec_command(
        sandbox.id, f"rm -f {_EXIT}; nohup setsid bash -c {shlex.quote(script)} >/dev/null 2>&1 &", timeout=30
    )
    wait = _WAIT.format(port=port, seconds=seconds, exit=_EXIT)
    why, _, code = await client.exec_command(sandbox.id, wait, timeout=seconds + 30)
    if code != 0:
        log, _, _ = await client.exec_command(sandbox.id, f"tail -c 2000 {_LOG}", timeout=30)
        raise SandyError(200, "app_not_ready", f"the application did not start: {why.strip()}; its log ends with: {log}")
