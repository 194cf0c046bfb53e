"""Answers chat completions by letting a command-line agent work in a sandbox of its own.

Each request gets a sandbox, made through Sandy's API as a child of the sandbox that this program runs in, and the agent
works there with the model of the platform. Its steps are `reasoning_content`, its last words the answer; files that it
leaves in /workspace/artifacts come along. The sandbox always ends with the request.

Environment, beside that of chat_server.py: SANDY_BASE_URL, SANDY_API_KEY (sandboxes find both); JANUS_PLATFORM_URL and
JANUS_LLM_API_KEY, the model's interface and its key, both optional where the installation has its own; BASELINE_AGENT
(claude-code; the header X-Baseline-Agent goes before it), BASELINE_MODEL (what the request names, or janus-router for this
program's own names), BASELINE_FLAVOR (agent-ready), BASELINE_NETWORK (platform).
"""

import base64
import hashlib
import mimetypes
import os
import re
import time
import uuid
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Optional

from chat_server import Chat, Delta, Refusal, serve, text_of
from sandy import SandyError, SyncSandyClient

NAME = "baseline-agent-cli"
OWN_NAMES = {NAME, "baseline-cli-agent", "janus-baseline-cli", "baseline"}
ARTIFACTS = "/workspace/artifacts"
MOST_ARTIFACTS = 16
LARGEST_ARTIFACT = 1_000_000  # what a data URL may have
INSTRUCTIONS = f"You answer one message of a conversation. Files that are meant for the user go into {ARTIFACTS}."


def task_of(chat: Chat) -> str:
    """The conversation as one prompt: agents take no roles."""
    turns = [each for each in chat.messages if each.get("role") not in ("system", "developer")]
    if not turns:
        raise Refusal(422, "There is nothing to answer: no message is the user's")
    last = text_of(turns[-1].get("content"))
    if len(turns) == 1:
        return last
    earlier = "\n\n".join(f"{each.get('role')}: {text_of(each.get('content'))}" for each in turns[:-1])
    return f"The conversation so far:\n\n{earlier}\n\nAnswer this:\n\n{last}"


def order_of(chat: Chat) -> Dict[str, Any]:
    """What is asked of agent/run."""
    instructions = [INSTRUCTIONS] + [text_of(each.get("content")) for each in chat.messages if each.get("role") in ("system", "developer")]
    model = os.environ.get("BASELINE_MODEL") or ("janus-router" if chat.model in OWN_NAMES else chat.model)
    order = {
        "agent": chat.headers.get("X-Baseline-Agent") or os.environ.get("BASELINE_AGENT") or "claude-code",
        "model": model,
        "prompt": task_of(chat),
        "rawPrompt": True,
        "systemPrompt": "\n\n".join(instructions),
        "maxDuration": max(1, int(chat.seconds_left()) - 5),
    }
    if os.environ.get("JANUS_PLATFORM_URL"):
        order["apiBaseUrl"] = os.environ["JANUS_PLATFORM_URL"].rstrip("/") + "/v1"
    # Without a key of its own a container is known by its sandbox's token. An agent may not have that: it would be this sandbox to
    # the API. The platform knows the agent's sandbox without any, but agents want one.
    key = os.environ.get("JANUS_LLM_API_KEY")
    if key and key != os.environ.get("SANDY_API_KEY"):
        order["apiKey"] = key
    elif "apiBaseUrl" in order:
        order["apiKey"] = "none"
    return order


def event(name: str, /, **payload: Any) -> Delta:
    return {"janus": {"event": name, "payload": payload}}


def step(text: str) -> Delta:
    return {"reasoning_content": text.rstrip("\n") + "\n"}


class Narrator:
    """Turns what an agent does into deltas. A text is a step once something follows it; the last one is the answer."""

    def __init__(self, chat: Chat):
        self.chat = chat
        self.pending = ""
        self.result: Optional[str] = None
        self.failure: Optional[str] = None
        self.printed: List[str] = []

    def tell(self, data: Dict[str, Any]) -> Iterator[Delta]:
        kind = data.get("type")
        if kind == "status":
            yield step(str(data.get("message") or ""))
        elif kind == "agent-output" and isinstance(data.get("data"), dict):
            yield from self.tell_output(data["data"])
        elif kind == "output":
            self.printed.append(str(data.get("text") or ""))
            yield step(self.printed[-1])
        elif kind == "error":
            self.failure = str(data.get("error") or "the agent failed")

    def tell_output(self, said: Dict[str, Any]) -> Iterator[Delta]:
        kind = said.get("type")
        message = said.get("message")
        parts = message.get("content") if isinstance(message, dict) else None
        if kind == "assistant" and isinstance(parts, list):
            for part in parts:
                yield from self.tell_part(part if isinstance(part, dict) else {})
        elif kind == "result":
            if isinstance(said.get("result"), str) and said["result"] and not said.get("is_error"):
                self.result = said["result"]
            usage = said.get("usage")
            if isinstance(usage, dict):
                self.chat.count(number(usage.get("input_tokens")), number(usage.get("output_tokens")))

    def tell_part(self, part: Dict[str, Any]) -> Iterator[Delta]:
        if part.get("type") in ("text", "tool_use") and self.pending:
            yield step(self.pending)
            self.pending = ""
        if part.get("type") == "text":
            self.pending = str(part.get("text") or "")
        elif part.get("type") == "thinking" and part.get("thinking"):
            yield step(str(part["thinking"]))
        elif part.get("type") == "tool_use":
            given = part.get("input") if isinstance(part.get("input"), dict) else {}
            about = next((str(given[key]) for key in ("command", "file_path", "pattern", "url", "query") if given.get(key)), "")
            yield step(f"{part.get('name')}: {about}"[:500] if about else str(part.get("name")))

    def answer(self) -> str:
        return self.result or self.pending or "".join(self.printed).strip()


def number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def artifacts_of(client: SyncSandyClient, sandbox: str) -> List[Dict[str, Any]]:
    """What the agent left for the user. What cannot be had is left out."""
    found: List[Dict[str, Any]] = []
    try:
        names = sorted(client.list_files(sandbox, ARTIFACTS))
    except SandyError:
        return found
    for name in names:
        if len(found) == MOST_ARTIFACTS:
            break
        path = f"{ARTIFACTS}/{name}"
        try:
            if int(client.stat(sandbox, path).get("size") or 0) > LARGEST_ARTIFACT:
                continue
            content = client.read_file(sandbox, path)
        except SandyError:
            continue
        if len(content) <= LARGEST_ARTIFACT:
            found.append(descriptor(name, content))
    return found


def descriptor(name: str, content: bytes) -> Dict[str, Any]:
    mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = "image" if mime.startswith("image/") else "dataset" if mime in ("text/csv", "application/json") else "file"
    return {
        "id": "artf_" + uuid.uuid4().hex[:12],
        "type": kind,
        "mime_type": mime,
        "display_name": name,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "ttl_seconds": 3600,
        "url": f"data:{mime};base64," + base64.b64encode(content).decode(),
    }


def refusal_of(failure: SandyError) -> Refusal:
    # No digits of ids and sizes: clients look for statuses in texts.
    return Refusal(failure.status if failure.status in (429, 503) else 502, "The sandbox failed: " + re.sub(r"\d{3,}", "", failure.message))


def answer(chat: Chat) -> Iterator[Delta]:
    order = order_of(chat)
    begun = time.monotonic()
    with SyncSandyClient() as client:
        try:
            sandbox = client.create_sandbox(
                ttl_seconds=int(chat.seconds_left()) + 60,
                flavor=os.environ.get("BASELINE_FLAVOR") or "agent-ready",
                network=os.environ.get("BASELINE_NETWORK") or "platform",
            ).id
        except SandyError as failure:
            raise refusal_of(failure) from failure
        try:
            yield event("sandbox_start", sandbox_id=sandbox, agent=order["agent"])
            client.make_directory(sandbox, ARTIFACTS)
            narrator = Narrator(chat)
            for told in client.run_agent(sandbox, **order):
                chat.check()
                yield from narrator.tell(told)
            if items := artifacts_of(client, sandbox):
                yield event("artifacts", items=items)
        except SandyError as failure:
            raise refusal_of(failure) from failure
        finally:
            client.terminate(sandbox)
            chat.usage["sandbox_seconds"] = round(time.monotonic() - begun, 3)
        yield event("sandbox_end", sandbox_id=sandbox, duration_seconds=chat.usage["sandbox_seconds"])
        if narrator.failure:
            raise Refusal(502, f"The agent failed: {narrator.failure}"[:300])
        yield {"content": narrator.answer() or "The agent has finished without a word."}


if __name__ == "__main__":
    serve(NAME, answer)
