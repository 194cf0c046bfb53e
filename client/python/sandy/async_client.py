"""The asynchronous client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import (
    Any,
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Coroutine,
    Dict,
    Generator,
    List,
    Literal,
    Optional,
    Sequence,
    Union,
    overload,
)

import httpx

from . import protocol
from .errors import error_from, error_from_transport
from .events import AgentDecoder, OutputDecoder
from .models import Connection, ExecResult, OutputChunk, Sandbox


class OutputStream:
    """The output of a running command: `async for chunk in stream`, then `stream.exit_code`.

    Leaving it early (`aclose`, or the end of its `async with`) ends the command.
    """

    def __init__(self, client: "SandyClient", call: protocol.Call) -> None:
        self._chunks = self._read(client, call)
        self._decoder = OutputDecoder()

    async def _read(self, client: "SandyClient", call: protocol.Call) -> AsyncGenerator[OutputChunk, None]:
        async with client._stream(call) as response:
            async for piece in response.aiter_bytes():
                for chunk in self._decoder.feed(piece):
                    yield chunk
        self._decoder.exit_code()  # a stream that ends without one has failed

    @property
    def exit_code(self) -> int:
        """The command's exit code, known when the iteration is over."""
        return self._decoder.exit_code()

    @property
    def timed_out(self) -> bool:
        """Whether the command was killed for its timeout."""
        return self._decoder.timed_out()

    def __aiter__(self) -> AsyncIterator[OutputChunk]:
        return self._chunks

    def __await__(self) -> Generator[Any, None, "OutputStream"]:
        # So that `await exec_command(...)` is right with and without `stream`.
        return self
        yield  # pragma: no cover - makes this a generator

    async def aclose(self) -> None:
        """Stops reading."""
        await self._chunks.aclose()

    async def __aenter__(self) -> "OutputStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class SandyClient:
    """Talks to a Sandy server.

    Args:
        base_url: address of the server, else the variable SANDY_BASE_URL.
        api_key: bearer key, else the variable SANDY_API_KEY; a server may need none.
        transport: for tests: takes the place of the network.

    Every method raises `SandyError`. Connections are kept; `aclose` or `async with` closes them.
    """

    def __init__(
        self,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        transport: Optional[httpx.AsyncBaseTransport] = None,
    ) -> None:
        self._settings = {**protocol.settings(base_url, api_key), "transport": transport}
        self._http: Optional[httpx.AsyncClient] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    @property
    def base_url(self) -> str:
        """Address of the server, without a trailing slash."""
        return str(self._settings["base_url"])

    async def create_sandbox(
        self,
        ttl_seconds: int = 600,
        expose_ports: Optional[Sequence[int]] = None,
        priority: Union[str, int] = "NORMAL",
        **options: Any,
    ) -> Sandbox:
        """Creates a sandbox; it is ready for commands when this returns.

        Args:
            ttl_seconds: it ends by itself after this time.
            expose_ports: ports to serve to the outside.
            priority: CRITICAL, HIGH, NORMAL or LOW.
            options: further fields of the API, for example `image`, `env`, `resources`, `network`, `secrets`
                (`{"KEY": {"value": "...", "hosts": ["api.example.com"]}}`: never inside, only in requests to these hosts).
        """
        return protocol.sandbox_from(await self._object(protocol.create(ttl_seconds, expose_ports, priority, options)))

    async def get_status(self, sandbox_id: str) -> Sandbox:
        """Describes a sandbox; one that has ended is a SandyError with status 404."""
        return protocol.sandbox_from(await self._object(protocol.sandbox(sandbox_id)))

    async def list_sandboxes(self) -> List[Sandbox]:
        """Describes all sandboxes of this key."""
        return protocol.sandboxes_from(await self._object(protocol.Call("GET", "/api/sandboxes")))

    async def refresh(self, sandbox_id: str, ttl_seconds: Optional[int] = None) -> Sandbox:
        """Makes a sandbox live for `ttl_seconds` (else its original lifetime) from now."""
        body = {} if ttl_seconds is None else {"ttl_seconds": ttl_seconds}
        return protocol.sandbox_from(await self._object(protocol.sandbox(sandbox_id, "POST", "/refresh", json=body)))

    async def pause(self, sandbox_id: str) -> Sandbox:
        """Stops all processes of a sandbox; its lifetime goes on. Using it is a SandyError with status 409 until `resume`."""
        return protocol.sandbox_from(await self._object(protocol.sandbox(sandbox_id, "POST", "/pause", json={})))

    async def resume(self, sandbox_id: str) -> Sandbox:
        """Lets the processes of a paused sandbox go on."""
        return protocol.sandbox_from(await self._object(protocol.sandbox(sandbox_id, "POST", "/resume", json={})))

    async def connect(self, sandbox_id: str, target: str) -> Connection:
        """Lets a sandbox reach the TCP ports of another by a host name, the other's id. One direction; repeating it is
        harmless."""
        call = protocol.sandbox(sandbox_id, "POST", "/connect", json={"target": target})
        return protocol.connection_from(await self._object(call))

    async def disconnect(self, sandbox_id: str, target: str) -> None:
        """Undoes `connect`; what is open is cut. Repeating it is harmless."""
        await self._send(protocol.sandbox(sandbox_id, "POST", "/disconnect", json={"target": target}))

    async def network(self, sandbox_id: str) -> Dict[str, Any]:
        """What a sandbox may reach of the world (`mode`, `allow`, `deny`, `max_bytes`), and its `usage`."""
        return await self._object(protocol.sandbox(sandbox_id, "GET", "/network"))

    async def usage(self, sandbox_id: str) -> Dict[str, Any]:
        """What a sandbox, with its descendants, used of the platform's services (`requests`, `tokens`, `cost`), and its `limits`."""
        return await self._object(protocol.sandbox(sandbox_id, "GET", "/usage"))

    async def set_network(self, sandbox_id: str, network: Union[str, Dict[str, Any]]) -> Dict[str, Any]:
        """Gives a sandbox another network policy at once: a mode (none, platform, internet), or an object with `mode`, `allow`,
        `deny` and `max_bytes`. What is open and not allowed any more is cut."""
        return await self._object(protocol.sandbox(sandbox_id, "PUT", "/network", json={"network": network}))

    async def connections(self, sandbox_id: str) -> List[Connection]:
        """Describes the connections from a sandbox and to it."""
        return protocol.connections_from(await self._object(protocol.sandbox(sandbox_id, "GET", "/connections")))

    async def snapshot(self, sandbox_id: str, name: Optional[str] = None) -> Dict[str, Any]:
        """Keeps a sandbox's file system as an image that `create_sandbox(image=...)` takes; without a name one is made."""
        return await self._object(protocol.snapshot(sandbox_id, name))

    async def fork(self, sandbox_id: str, count: int = 1, **options: Any) -> List[Sandbox]:
        """Makes sandboxes with the file system that this one has now, all or none.

        Args:
            count: how many.
            options: further fields of the API: `ttl_seconds`, `env`.
        """
        return protocol.sandboxes_from(await self._object(protocol.fork(sandbox_id, count, options)))

    async def list_images(self) -> List[Dict[str, Any]]:
        """Describes the images and snapshots that sandboxes can be made from."""
        return list((await self._object(protocol.image()))["images"])

    async def import_image(
        self, name: str = "", archive: Any = None, path: Optional[str] = None, reference: Optional[str] = None
    ) -> Dict[str, Any]:
        """Makes an image that `create_sandbox(image=...)` takes, with an administrator's key.

        Args:
            archive: an OCI layout as tar, or what `docker save` writes: bytes, or an iterator of bytes.
            path: instead, of such a file on the server's machine.
            reference: instead, of an image in a registry, as `ghcr.io/team/image:1`; then without a `name` it is called by
                its reference.
        """
        return await self._object(protocol.import_image(name, archive, path, reference))

    async def delete_image(self, name: str) -> None:
        """Forgets a snapshot or an imported image. Sandboxes made from it live on."""
        await self._send(protocol.image(name, "DELETE"))

    async def terminate(self, sandbox_id: str) -> None:
        """Ends a sandbox with all that runs in it. Repeating it is harmless."""
        await self._send(protocol.sandbox(sandbox_id, "POST", "/terminate", json={}))

    @overload
    def exec_command(
        self, sandbox_id: str, command: str, timeout: float = ..., stream: Literal[False] = ..., **options: Any
    ) -> Coroutine[Any, Any, ExecResult]: ...

    @overload
    def exec_command(
        self, sandbox_id: str, command: str, timeout: float = ..., *, stream: Literal[True], **options: Any
    ) -> OutputStream: ...

    def exec_command(
        self, sandbox_id: str, command: str, timeout: float = 300, stream: bool = False, **options: Any
    ) -> Union[Coroutine[Any, Any, ExecResult], OutputStream]:
        """Runs a shell command.

        Args:
            command: a script for bash.
            timeout: seconds after which it is killed; the exit code is then 124.
            stream: give the output while it comes.
            options: further fields of the API: `cwd`, `env`.

        Returns:
            `(stdout, stderr, exit_code)`; with `stream` an `OutputStream` to iterate over (awaiting it is allowed).
        """
        call = protocol.execute(sandbox_id, command, timeout, options, stream)
        return OutputStream(self, call) if stream else self._execute(call)

    async def start_process(self, sandbox_id: str, command: str, **options: Any) -> Dict[str, Any]:
        """Starts a command in the background and describes the process at once."""
        body = {"command": command, "background": True, **options}
        return await self._object(protocol.sandbox(sandbox_id, "POST", "/exec", json=body))

    async def list_processes(self, sandbox_id: str) -> List[Dict[str, Any]]:
        """Describes the background processes of a sandbox, the finished ones too."""
        return list((await self._object(protocol.sandbox(sandbox_id, rest="/processes"))).get("processes") or [])

    async def run_agent(
        self, sandbox_id: str, agent: str, model: str, prompt: str, **options: Any
    ) -> AsyncGenerator[Dict[str, Any], None]:
        """Lets a command-line agent work in a sandbox: `async for event in client.run_agent(...)`.

        Leaving it early (`aclose`) ends the run after some seconds.

        Args:
            agent: id of an agent, for example `claude-code`; see `agents`.
            model: name of a model, passed on as it is.
            prompt: what it is to do, of any length.
            options: further fields of the API, for example `maxDuration`, `apiBaseUrl`, `apiKey`, `env`.

        Yields:
            The events as they come, each with a `type`. The last one is `complete`, with `exitCode`, `success`, `cancelled`
            and `duration`.
        """
        decoder = AgentDecoder()
        async with self._stream(protocol.run_agent(sandbox_id, agent, model, prompt, options)) as response:
            async for piece in response.aiter_bytes():
                for event in decoder.feed(piece):
                    yield event
        decoder.check_end()

    async def cancel_agent(self, sandbox_id: str) -> bool:
        """Ends the run of a sandbox's agent; its stream ends in order. Returns whether one was running."""
        answer = await self._object(protocol.sandbox(sandbox_id, "POST", "/agent/cancel", json={}))
        return bool(answer.get("cancelled"))

    async def agent_status(self, sandbox_id: str) -> Dict[str, Any]:
        """Describes what the agent of a sandbox does, or did last."""
        return await self._object(protocol.sandbox(sandbox_id, rest="/agent/status"))

    async def agent_runs(self, sandbox_id: str) -> List[Dict[str, Any]]:
        """Describes the runs of agents in a sandbox, the newest first, as `agent_status` does, with their `output`."""
        return list((await self._object(protocol.sandbox(sandbox_id, rest="/agent/runs"))).get("runs") or [])

    async def agents(self) -> List[Dict[str, Any]]:
        """Describes the agents that the server knows: `id`, `name`, and whether one of its images has it (`installed`)."""
        return list((await self._object(protocol.Call("GET", "/api/agents"))).get("agents") or [])

    async def run_container(self, sandbox_id: str, image: str, **options: Any) -> Dict[str, Any]:
        """Runs a container from an image in a sandbox, and describes it when it is healthy.

        Args:
            image: name of an image.
            options: further fields of the API, for example `env`, `port`, `timeout`, `llm_api_key`, `command`.
        """
        body = {"image": image, **options}
        return await self._object(protocol.sandbox(sandbox_id, "POST", "/container/run", json=body, read_seconds=120.0))

    async def containers(self, sandbox_id: str) -> List[Dict[str, Any]]:
        """Describes the containers of a sandbox, the oldest first."""
        return list((await self._object(protocol.sandbox(sandbox_id, rest="/container"))).get("containers") or [])

    async def container(self, sandbox_id: str, container_id: str) -> Dict[str, Any]:
        """Describes a container: `status`, `health`, `port`, `restarts` and more."""
        return await self._object(protocol.container(sandbox_id, container_id))

    async def container_logs(self, sandbox_id: str, container_id: str, tail: int = 200) -> List[str]:
        """The last lines that a container's program printed."""
        call = protocol.container(sandbox_id, container_id, rest="/logs", params={"tail": tail})
        return list((await self._object(call)).get("lines") or [])

    async def chat(self, sandbox_id: str, container_id: str, **request: Any) -> Dict[str, Any]:
        """Asks a container for a chat completion (`messages`, ...) and returns its whole answer."""
        body = {**request, "stream": False}
        return await self._object(protocol.container(sandbox_id, container_id, "POST", "/chat", json=body, read_seconds=330.0))

    async def stop_container(self, sandbox_id: str, container_id: str, grace: int = 10) -> Dict[str, Any]:
        """Ends a container's program, by force after `grace` seconds; what it printed stays."""
        return await self._object(protocol.container(sandbox_id, container_id, "POST", "/stop", json={"grace": grace}))

    async def remove_container(self, sandbox_id: str, container_id: str) -> None:
        """Ends a container; returns when nothing of it is left."""
        await self._object(protocol.container(sandbox_id, container_id, "DELETE"))

    async def write_file(self, sandbox_id: str, path: str, content: Union[str, bytes]) -> None:
        """Writes a file (text as UTF-8), making its directories. `path` is absolute or relative to /workspace."""
        await self._send(protocol.write(sandbox_id, path, content))

    async def read_file(self, sandbox_id: str, path: str) -> bytes:
        """Reads a whole file."""
        return protocol.file_from(await self._send(protocol.read(sandbox_id, path)))

    async def upload(self, sandbox_id: str, path: str, pieces: Union[bytes, AsyncIterable[bytes]]) -> Dict[str, Any]:
        """Writes a file of any size from an asynchronous iterable, without holding it in memory. Returns size and sha256."""
        return await self._object(protocol.upload(sandbox_id, path, pieces))

    async def download(self, sandbox_id: str, path: str) -> AsyncIterator[bytes]:
        """Reads a file of any size piece by piece: `async for piece in client.download(...)`."""
        async with self._stream(protocol.download(sandbox_id, path)) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def list_files(self, sandbox_id: str, path: str = "/workspace") -> List[str]:
        """The files below a directory, relative to it, without node_modules and .git."""
        call = protocol.sandbox(sandbox_id, rest="/files/list", params={"path": path})
        return list((await self._object(call)).get("files") or [])

    async def stat(self, sandbox_id: str, path: str) -> Dict[str, Any]:
        """Describes a file or directory."""
        return await self._object(protocol.sandbox(sandbox_id, rest="/files/stat", params={"path": path}))

    async def make_directory(self, sandbox_id: str, path: str) -> None:
        """Makes a directory and those above it."""
        await self._send(protocol.sandbox(sandbox_id, "POST", "/files/mkdir", json={"path": path}))

    async def move(self, sandbox_id: str, source: str, destination: str) -> None:
        """Renames a file or directory."""
        body = {"from": source, "to": destination}
        await self._send(protocol.sandbox(sandbox_id, "POST", "/files/move", json=body))

    async def delete_file(self, sandbox_id: str, path: str, recursive: bool = False) -> None:
        """Removes a file, or a directory (with `recursive` also one that is not empty)."""
        await self._send(protocol.delete_file(sandbox_id, path, recursive))

    async def preview_url(self, sandbox_id: str, port: Optional[int] = None, path: str = "/", expires_in: int = 3600) -> str:
        """The URL of a page. For a port that is private, or not exposed, it is signed: whoever has it reaches the port for
        `expires_in` seconds. Without a port: the one of the sandbox's public URL."""
        call = protocol.preview(sandbox_id, port, path, expires_in)
        return str((await self._object(call)).get("url") or "")

    def port_url(self, sandbox: Sandbox, port: int) -> str:
        """Where an exposed port of a sandbox is served."""
        return protocol.port_url(self.base_url, sandbox, port)

    def terminal_url(self, sandbox_id: str, **query: Any) -> str:
        """The WebSocket of a terminal, for any WebSocket library, with `terminal_headers`. `query` as docs/api.md has it:
        command, cwd, cols, rows, id, offset, readonly."""
        return protocol.terminal_url(self.base_url, sandbox_id, query)

    @property
    def terminal_headers(self) -> Dict[str, str]:
        """What the opening handshake of a terminal has to carry."""
        return dict(self._settings["headers"])

    async def aclose(self) -> None:
        """Closes the connections; the client can still be used and then opens new ones."""
        http, self._http = self._http, None
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()

    async def __aenter__(self) -> "SandyClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _connections(self) -> httpx.AsyncClient:
        # Connections belong to an event loop; scripts that call asyncio.run() several times have several.
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            self._http, self._loop = httpx.AsyncClient(**self._settings), loop
        return self._http

    async def _execute(self, call: protocol.Call) -> ExecResult:
        return protocol.exec_result_from(await self._object(call))

    async def _object(self, call: protocol.Call) -> Dict[str, Any]:
        return protocol.answer_of(await self._send(call))

    async def _send(self, call: protocol.Call) -> httpx.Response:
        http = self._connections()
        try:
            response = await http.send(http.build_request(**call.arguments()))
        except httpx.HTTPError as failure:
            raise error_from_transport(failure) from failure
        if not response.is_success:
            raise error_from(response)
        return response

    @asynccontextmanager
    async def _stream(self, call: protocol.Call) -> AsyncIterator[httpx.Response]:
        http = self._connections()
        try:
            response = await http.send(http.build_request(**call.arguments()), stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise error_from(response)
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as failure:
            raise error_from_transport(failure) from failure
