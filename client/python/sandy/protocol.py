"""The wire contract as data: what each call sends and how its answer is read. Both clients stand on it."""

from __future__ import annotations

import base64
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union
from urllib.parse import quote, urlencode, urlsplit

import httpx

from .errors import SandyError
from .models import Connection, ExecResult, Sandbox

# Over this a file travels as its bytes: JSON bodies are limited to 64 MiB, and base64 adds a third.
LARGEST_JSON_FILE = 32 * 1024 * 1024
# What a call may take that does not depend on a command: creating waits for the machine, ending for the kernel.
CALL_SECONDS = 90.0
# Copying a file system waits for the disk.
COPY_SECONDS = 240.0
# An image comes and is unpacked.
IMPORT_SECONDS = 3600.0
# A command's own timeout comes first, so that its true outcome arrives.
EXEC_GRACE_SECONDS = 10.0
# A stream speaks at least every 10 s (keep-alive comments); silence of this length means the connection is dead.
STREAM_SILENCE_SECONDS = 60.0


class Call(NamedTuple):
    """One HTTP request."""

    method: str
    path: str
    json: Optional[Dict[str, Any]] = None
    params: Optional[Dict[str, str]] = None
    headers: Optional[Dict[str, str]] = None
    content: Any = None
    read_seconds: float = CALL_SECONDS

    def arguments(self) -> Dict[str, Any]:
        """As `httpx.Client.build_request` takes it."""
        timeout = httpx.Timeout(self.read_seconds, connect=10.0)
        return {**self._asdict_without("read_seconds", "path"), "url": self.path, "timeout": timeout}

    def _asdict_without(self, *names: str) -> Dict[str, Any]:
        return {key: value for key, value in self._asdict().items() if key not in names and value is not None}


def settings(base_url: Optional[str], api_key: Optional[str]) -> Dict[str, Any]:
    """Arguments of the HTTP client, from the caller or from SANDY_BASE_URL and SANDY_API_KEY."""
    base_url = base_url or os.environ.get("SANDY_BASE_URL")
    if not base_url:
        raise ValueError("no server: pass base_url or set SANDY_BASE_URL")
    api_key = api_key or os.environ.get("SANDY_API_KEY")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {"base_url": base_url.rstrip("/"), "headers": headers}


def create(
    ttl_seconds: int, expose_ports: Optional[Sequence[int]], priority: Union[str, int], options: Dict[str, Any]
) -> Call:
    body = {"ttl_seconds": ttl_seconds, "expose_ports": list(expose_ports or []), "priority": priority, **options}
    return Call("POST", "/api/sandboxes", json=body)


def sandbox(sandbox_id: str, method: str = "GET", rest: str = "", **fields: Any) -> Call:
    """A call on one sandbox."""
    return Call(method, f"/api/sandboxes/{_label(sandbox_id)}{rest}", **fields)


def snapshot(sandbox_id: str, name: Optional[str]) -> Call:
    body = {} if name is None else {"name": name}
    return sandbox(sandbox_id, "POST", "/snapshot", json=body, read_seconds=COPY_SECONDS)


def fork(sandbox_id: str, count: int, options: Dict[str, Any]) -> Call:
    return sandbox(sandbox_id, "POST", "/fork", json={"count": count, **options}, read_seconds=COPY_SECONDS)


def import_image(name: str, archive: Any, path: Optional[str], reference: Optional[str]) -> Call:
    if sum(each is not None for each in (archive, path, reference)) != 1:
        raise ValueError("either archive, path or reference")
    if reference is not None:
        body = {"reference": reference, **({"name": name} if name else {})}
        return Call("POST", "/api/images", json=body, read_seconds=IMPORT_SECONDS)
    if path is not None:
        return Call("POST", "/api/images", json={"name": name, "path": path}, read_seconds=IMPORT_SECONDS)
    headers = {"Content-Type": "application/x-tar"}
    return Call("POST", "/api/images", params={"name": name}, headers=headers, content=archive, read_seconds=IMPORT_SECONDS)


def image(name: str = "", method: str = "GET") -> Call:
    """A call on one image, or on all of them."""
    return Call(method, f"/api/images/{quote(name, safe='')}" if name else "/api/images")


def execute(sandbox_id: str, command: str, timeout: float, options: Dict[str, Any], stream: bool = False) -> Call:
    body: Dict[str, Any] = {"command": command, "timeout": timeout, **options}
    headers, read_seconds = None, timeout + EXEC_GRACE_SECONDS
    if stream:
        body["stream"] = True
        headers, read_seconds = {"Accept": "text/event-stream"}, STREAM_SILENCE_SECONDS
    return sandbox(sandbox_id, "POST", "/exec", json=body, headers=headers, read_seconds=read_seconds)


def run_agent(sandbox_id: str, agent: str, model: str, prompt: str, options: Dict[str, Any]) -> Call:
    body = {"agent": agent, "model": model, "prompt": prompt, **options, "stream": True}
    headers = {"Accept": "text/event-stream"}
    return sandbox(sandbox_id, "POST", "/agent/run", json=body, headers=headers, read_seconds=STREAM_SILENCE_SECONDS)


def container(sandbox_id: str, container_id: str, method: str = "GET", rest: str = "", **more: Any) -> Call:
    return sandbox(sandbox_id, method, f"/container/{container_id}{rest}", **more)


def write(sandbox_id: str, path: str, content: Union[str, bytes]) -> Call:
    data = content.encode("utf-8") if isinstance(content, str) else bytes(content)
    if len(data) > LARGEST_JSON_FILE:
        return upload(sandbox_id, path, data)
    body = {"path": path, "content": base64.b64encode(data).decode("ascii"), "encoding": "base64"}
    return sandbox(sandbox_id, "POST", "/files/write", json=body)


def read(sandbox_id: str, path: str) -> Call:
    accept = {"Accept": "application/octet-stream"}
    return sandbox(sandbox_id, rest="/files/read", params={"path": path, "raw": "1"}, headers=accept)


def upload(sandbox_id: str, path: str, content: Any) -> Call:
    headers = {"Content-Type": "application/octet-stream"}
    return sandbox(sandbox_id, "PUT", "/files", params={"path": path}, headers=headers, content=content)


def download(sandbox_id: str, path: str) -> Call:
    return sandbox(sandbox_id, rest="/files", params={"path": path}, read_seconds=STREAM_SILENCE_SECONDS)


def delete_file(sandbox_id: str, path: str, recursive: bool) -> Call:
    flag = "true" if recursive else "false"
    return sandbox(sandbox_id, "DELETE", "/files", params={"path": path, "recursive": flag})


def answer_of(response: httpx.Response) -> Dict[str, Any]:
    """The JSON object of a successful answer."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SandyError(response.status_code, "bad_answer", "the server did not answer with a JSON object")
    return body


def sandbox_from(data: Dict[str, Any]) -> Sandbox:
    """Reads every spelling servers use."""
    sandbox_id = data.get("sandbox_id") or data.get("sandboxId") or data.get("id")
    if not sandbox_id:
        raise SandyError(200, "bad_answer", "the server described a sandbox without an id")
    return Sandbox(
        id=str(sandbox_id),
        public_url=str(data.get("public_url") or data.get("url") or ""),
        status=str(data.get("status") or "unknown"),
        ttl_remaining=int(data.get("ttl_remaining") or data.get("ttlRemaining") or 0),
        details=data,
    )


def sandboxes_from(data: Dict[str, Any]) -> List[Sandbox]:
    return [sandbox_from(each) for each in data.get("sandboxes") or []]


def connection_from(data: Dict[str, Any]) -> Connection:
    try:
        return Connection(*(str(data[name]) for name in ("source", "target", "name", "address")))
    except KeyError as missing:
        raise SandyError(200, "bad_answer", f"the server described a connection without {missing}") from missing


def connections_from(data: Dict[str, Any]) -> List[Connection]:
    return [connection_from(each) for each in data.get("connections") or []]


def exec_result_from(data: Dict[str, Any]) -> ExecResult:
    code = data.get("exit_code", data.get("exitCode"))
    if code is None:
        raise SandyError(200, "bad_answer", "the server did not say how the command ended")
    return ExecResult(data.get("stdout") or "", data.get("stderr") or "", int(code))


def file_from(response: httpx.Response) -> bytes:
    """The bytes of a file, also from servers that only know the JSON form."""
    if response.headers.get("Content-Type", "").split(";")[0].strip().lower() != "application/json":
        return response.content
    body = answer_of(response)
    content = str(body.get("content") or "")
    return base64.b64decode(content) if body.get("encoding") == "base64" else content.encode("utf-8")


def preview(sandbox_id: str, port: Optional[int], path: str, expires_in: int) -> Call:
    body: Dict[str, Any] = {"path": path, "expires_in": expires_in}
    if port is not None:
        body["port"] = port
    return sandbox(sandbox_id, "POST", "/preview", json=body)


def port_url(base_url: str, box: Sandbox, port: int) -> str:
    """Where a port of a sandbox is served. A public URL that already has a port can carry no other: then it is the proxy
    path of the API."""
    if box.public_url and urlsplit(box.public_url).port is None:
        return f"{box.public_url}:{port}"
    return f"{base_url}/api/sandboxes/{box.id}/proxy/{port}"


def terminal_url(base_url: str, sandbox_id: str, query: Dict[str, Any]) -> str:
    """The WebSocket of a terminal. Truth values become what the server reads as such; None is left out."""
    given = {name: int(value) if isinstance(value, bool) else value for name, value in query.items() if value is not None}
    url = f"ws{base_url[len('http'):]}/api/sandboxes/{_label(sandbox_id)}/terminal"
    return f"{url}?{urlencode(given)}" if given else url


def _label(sandbox_id: str) -> str:
    # An id becomes part of a path; anything else in it would address something else.
    if not sandbox_id or not all(letter.isalnum() or letter in "_-" for letter in sandbox_id):
        raise ValueError(f"not a sandbox id: {sandbox_id!r}")
    return sandbox_id
