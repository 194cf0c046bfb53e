#!/usr/bin/env python3
"""A stand-in language model: answers agents by a fixed script, in the four protocols they speak. Standard library only,
because tests also copy this file into sandboxes and run it there.

The script: asked with tools on offer, it writes a file with the shell (else with the tool that writes files); given the
tool's result, it ends with a sentence. Asked without tools it answers in words, or, where the instructions describe one,
in aider's format for edits. The mode is that of the command line, unless the model's name ends in `stand-in-MODE`:

  normal        the script
  401, 500      every request fails so
  hang          headers come, nothing after them
  hang-before   not even headers
  cut           the connection breaks in the middle of the first sentence
  slow          a sentence of very many pieces, with a pause after each
  forever       the tool's command never ends

It prints its port, then answers until it is ended. With --log it appends a JSON object per request, before it answers.
"""

import argparse
import json
import re
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

MODES = ("normal", "401", "500", "hang", "hang-before", "cut", "slow", "forever")
ERRORS = {"401": (401, "authentication_error", "The key is not valid."), "500": (500, "api_error", "The model failed.")}
SHELL_TOOLS = ("bash", "exec_command", "shell", "shell_command", "local_shell", "run_shell_command", "execute", "execute_command",
               "run_commands", "execute_bash", "terminal", "run_code")
WRITE_TOOLS = ("write", "write_file", "create", "create_file", "editor")
USAGE = (100, 20)  # tokens in, tokens out


@dataclass
class Question:
    """What a request asks, whatever its protocol."""

    model: str
    stream: bool
    tools: dict  # name: JSON schema of its arguments
    messages: list  # (role, has a tool's result) in their order
    instructions: str = ""

    def answered(self) -> bool:
        """Whether the tool called last has given its result."""
        since = [result for role, result in self.messages]
        for position, (role, _) in enumerate(self.messages):
            if role == "assistant":
                since = [result for _, result in self.messages[position + 1:]]
        return any(since)

    def history(self) -> int:
        """How many earlier prompts the model has answered: 0 in a session's first run."""
        prompts = [n for n, (role, result) in enumerate(self.messages) if role == "user" and not result]
        last = prompts[-1] if prompts else 0
        return sum(1 for n in prompts if n < last and any(role == "assistant" for role, _ in self.messages[n:last]))


@dataclass
class Answer:
    """What the model says: pieces of text, then perhaps one call of a tool."""

    pieces: list
    tool: Optional[str] = None
    arguments: dict = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def pieces_of(text: str) -> list:
    return re.findall(r"\S+\s*", text)


def arguments_for(schema: dict, values: list) -> dict:
    """Fills the arguments that the schema requires; `values` are (pattern of the name, value), the first that matches."""
    properties = schema.get("properties") or {}
    made = {}
    for name, about in properties.items():
        value = next((value for pattern, value in values if re.fullmatch(pattern, name)), None)
        kind = about.get("type")
        if value is not None:
            if kind == "array":
                value = ["bash", "-c", value] if name == "command" else [value]
        elif name in (schema.get("required") or []):
            choices = about.get("enum")
            value = choices[0] if choices else {"boolean": False, "integer": 1, "number": 1, "array": [], "object": {}}.get(kind, "the work")
        if value is not None:
            made[name] = value
    return made


def answer_to(question: Question, mode: str, options) -> Answer:
    if mode == "slow":
        return Answer(["word "] * options.pieces)
    if question.answered():
        return Answer(pieces_of("The work is done."))
    tools = {name.lower(): name for name in question.tools}
    command = "tail -f /dev/null" if mode == "forever" else f"echo '{options.text}' > {options.file}"
    for tool in SHELL_TOOLS:
        if tool in tools:
            arguments = arguments_for(question.tools[tools[tool]], [(r"command|cmd|commands|code", command)])
            return Answer(pieces_of("I will write the file now."), tools[tool], arguments)
    for tool in WRITE_TOOLS:
        if tool in tools:
            path = f"{options.workspace}/{options.file}"
            values = [(r"(absolute_|file_)?path|filePath", path), (r"content|file_text|text", options.text + "\n"), ("command", "create")]
            return Answer(pieces_of("I will write the file now."), tools[tool], arguments_for(question.tools[tools[tool]], values))
    if "SEARCH/REPLACE" in question.instructions:
        return Answer(pieces_of(f"{options.file}\n```\n<<<<<<< SEARCH\n=======\n{options.text}\n>>>>>>> REPLACE\n```\n"))
    if "file listing" in question.instructions:
        return Answer(pieces_of(f"{options.file}\n```\n{options.text}\n```\n"))
    return Answer(pieces_of("A short answer in words."))


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))


Event = Tuple[Optional[str], dict]  # name of the event, if the protocol has names, and its data


class Messages:
    """Anthropic Messages."""

    def read(self, body: dict) -> Question:
        messages = []
        for message in body["messages"]:
            parts = message["content"] if isinstance(message["content"], list) else []
            messages.append((message["role"], any(part.get("type") == "tool_result" for part in parts)))
        tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or []}
        return Question(body["model"], bool(body.get("stream")), tools, messages, text_of(body.get("system")))

    def error(self, status: int, kind: str, text: str) -> dict:
        return {"type": "error", "error": {"type": kind, "message": text}}

    def message(self, question: Question, answer: Answer) -> dict:
        content = [{"type": "text", "text": answer.text}]
        if answer.tool:
            content.append({"type": "tool_use", "id": f"toolu_{answer.id}", "name": answer.tool, "input": answer.arguments})
        return {"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "model": question.model, "content": content,
                "stop_reason": "tool_use" if answer.tool else "end_turn", "stop_sequence": None,
                "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}}

    def events(self, question: Question, answer: Answer) -> Iterator[Event]:
        whole = self.message(question, answer)

        def event(kind: str, **values) -> Event:
            return kind, {"type": kind, **values}

        yield event("message_start", message={**whole, "content": [], "stop_reason": None})
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in answer.pieces:
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield event("content_block_stop", index=0)
        if answer.tool:
            yield event("content_block_start", index=1, content_block={**whole["content"][1], "input": {}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
            yield event("content_block_delta", index=1, delta=delta)
            yield event("content_block_stop", index=1)
        yield event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None}, usage={"output_tokens": USAGE[1]})
        yield event("message_stop")


class Chat:
    """OpenAI Chat Completions."""

    def read(self, body: dict) -> Question:
        messages = [("user" if m["role"] == "tool" else m["role"], m["role"] == "tool") for m in body["messages"]]
        tools = {tool["function"]["name"]: tool["function"].get("parameters") or {}
                 for tool in body.get("tools") or [] if tool.get("type") == "function"}
        instructions = "\n".join(text_of(m.get("content")) for m in body["messages"] if m["role"] in ("system", "developer"))
        return Question(body["model"], bool(body.get("stream")), tools, messages, instructions)

    def error(self, status: int, kind: str, text: str) -> dict:
        return {"error": {"message": text, "type": kind, "param": None, "code": kind}}

    usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}

    def calls(self, answer: Answer) -> list:
        if not answer.tool:
            return []
        function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        return [{"id": f"call_{answer.id}", "type": "function", "function": function}]

    def message(self, question: Question, answer: Answer) -> dict:
        message = {"role": "assistant", "content": answer.text}
        if answer.tool:
            message["tool_calls"] = self.calls(answer)
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.tool else "stop"}
        return {"id": f"chatcmpl-{answer.id}", "object": "chat.completion", "created": int(time.time()), "model": question.model,
                "choices": [choice], "usage": self.usage}

    def events(self, question: Question, answer: Answer) -> Iterator[Event]:
        def event(delta: dict, reason: Optional[str] = None) -> Event:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return None, {"id": f"chatcmpl-{answer.id}", "object": "chat.completion.chunk", "created": int(time.time()),
                          "model": question.model, "choices": [choice]}

        yield event({"role": "assistant", "content": ""})
        for piece in answer.pieces:
            yield event({"content": piece})
        for number, call in enumerate(self.calls(answer)):
            yield event({"tool_calls": [{"index": number, **call}]})
        _, last = event({}, "tool_calls" if answer.tool else "stop")
        yield None, last
        yield None, {**last, "choices": [], "usage": self.usage}


class Responses:
    """OpenAI Responses."""

    def read(self, body: dict) -> Question:
        messages, instructions = [], body.get("instructions") or ""
        items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
        for item in items:
            kind = item.get("type", "message")
            if kind == "message" and item["role"] in ("user", "assistant"):
                messages.append((item["role"], False))
            elif kind == "message":
                instructions += text_of(item.get("content"))
            elif kind.endswith("_call"):
                messages.append(("assistant", False))
            elif kind.endswith("_call_output"):
                messages.append(("user", True))
        tools = {tool["name"]: tool.get("parameters") or {} for tool in body.get("tools") or [] if tool.get("type") == "function"}
        return Question(body["model"], bool(body.get("stream")), tools, messages, instructions)

    error = Chat.error

    def items(self, answer: Answer) -> list:
        content = {"type": "output_text", "text": answer.text, "annotations": []}
        items = [{"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "status": "completed", "content": [content]}]
        if answer.tool:
            items.append({"id": f"fc_{answer.id}", "type": "function_call", "status": "completed", "call_id": f"call_{answer.id}",
                          "name": answer.tool, "arguments": json.dumps(answer.arguments)})
        return items

    def message(self, question: Question, answer: Answer) -> dict:
        usage = {"input_tokens": USAGE[0], "input_tokens_details": {"cached_tokens": 0}, "output_tokens": USAGE[1],
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": sum(USAGE)}
        return {"id": f"resp_{answer.id}", "object": "response", "created_at": int(time.time()), "status": "completed",
                "model": question.model, "output": self.items(answer), "usage": usage, "error": None}

    def events(self, question: Question, answer: Answer) -> Iterator[Event]:
        whole, number = self.message(question, answer), 0

        def event(kind: str, **values) -> Event:
            nonlocal number
            number += 1
            return kind, {"type": kind, "sequence_number": number, **values}

        unfinished = {**whole, "status": "in_progress", "output": [], "usage": None}
        yield event("response.created", response=unfinished)
        for index, item in enumerate(whole["output"]):
            place = {"item_id": item["id"], "output_index": index}
            if item["type"] == "message":
                place["content_index"] = 0
                yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []})
                yield event("response.content_part.added", **place, part={**item["content"][0], "text": ""})
                for piece in answer.pieces:
                    yield event("response.output_text.delta", **place, delta=piece)
                yield event("response.output_text.done", **place, text=answer.text)
                yield event("response.content_part.done", **place, part=item["content"][0])
            else:
                yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "arguments": ""})
                yield event("response.function_call_arguments.delta", **place, delta=item["arguments"])
                yield event("response.function_call_arguments.done", **place, arguments=item["arguments"])
            yield event("response.output_item.done", output_index=index, item=item)
        yield event("response.completed", response=whole)


class Gemini:
    """Gemini generateContent and streamGenerateContent; the model and the method are in the path."""

    def __init__(self, model: str, stream: bool):
        self.model, self.stream = model, stream

    def read(self, body: dict) -> Question:
        messages = []
        for content in body["contents"]:
            role = "assistant" if content.get("role") == "model" else "user"
            messages.append((role, any("functionResponse" in part for part in content["parts"])))
        tools = {}
        for group in body.get("tools") or []:
            for tool in group.get("functionDeclarations") or []:
                tools[tool["name"]] = tool.get("parametersJsonSchema") or tool.get("parameters") or {}
        instructions = text_of((body.get("systemInstruction") or {}).get("parts"))
        return Question(self.model, self.stream, tools, messages, instructions)

    def error(self, status: int, kind: str, text: str) -> dict:
        return {"error": {"code": status, "message": text, "status": "UNAUTHENTICATED" if status == 401 else "INTERNAL"}}

    def part(self, question: Question, parts: list, last: bool) -> dict:
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **({"finishReason": "STOP"} if last else {})}
        usage = {"promptTokenCount": USAGE[0], "candidatesTokenCount": USAGE[1], "totalTokenCount": sum(USAGE)}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": question.model}

    def calls(self, answer: Answer) -> list:
        return [{"functionCall": {"name": answer.tool, "args": answer.arguments}}] if answer.tool else []

    def message(self, question: Question, answer: Answer) -> dict:
        return self.part(question, [{"text": answer.text}] + self.calls(answer), True)

    def events(self, question: Question, answer: Answer) -> Iterator[Event]:
        for piece in answer.pieces:
            yield None, self.part(question, [{"text": piece}], False)
        yield None, self.part(question, self.calls(answer) or [{"text": ""}], True)


def protocol_of(path: str):
    if found := re.search(r"/models/([^/]+(?:/[^/]+)*):(streamG|g)enerateContent$", path):
        return Gemini(found[1], found[2] == "streamG")
    suffixes = {"/messages": Messages, "/chat/completions": Chat, "/responses": Responses}
    return next((protocol() for suffix, protocol in suffixes.items() if path.endswith(suffix)), None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Nothing on standard error: what tests read is the log of `record`."""

    def key(self) -> Tuple[str, str]:
        """Where the key was, and the key."""
        bearer = self.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            return "bearer", bearer[len("Bearer "):]
        for name in ("x-api-key", "x-goog-api-key"):
            if name in self.headers:
                return name, self.headers[name]
        in_query = parse_qs(urlsplit(self.path).query).get("key")
        return ("query", in_query[0]) if in_query else ("none", "")

    def record(self, **more) -> None:
        if self.server.options.log:
            line = {"time": time.time(), "method": self.command, "path": self.path, "authorization": self.key()[0], **more}
            with self.server.log_lock, open(self.server.options.log, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")

    def answer_json(self, status: int, body: dict, missing: int = 0) -> None:
        """@param missing bytes announced which never come."""
        encoded = b"" if self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded) + missing))
        self.end_headers()
        self.wfile.write(encoded)

    def do_HEAD(self):
        self.record()
        self.answer_json(200, {})

    def do_GET(self):
        self.record()
        path = urlsplit(self.path).path
        if path.endswith("/models"):
            model = {"id": "stand-in", "type": "model", "object": "model", "display_name": "Stand-in", "name": "models/stand-in"}
            self.answer_json(200, {"object": "list", "data": [model], "models": [model], "has_more": False})
        else:
            self.answer_json(200 if path in ("/", "/api/hello") else 404, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = urlsplit(self.path).path
        if path.endswith(("/count_tokens", ":countTokens")):
            self.record()
            return self.answer_json(200, {"input_tokens": USAGE[0], "totalTokens": USAGE[0]})
        protocol = protocol_of(path)
        if protocol is None:
            self.record()
            return self.answer_json(404, {"error": {"message": f"There is nothing at {path}."}})
        question = protocol.read(body)
        named = re.search(r"stand-in-(%s)$" % "|".join(MODES), question.model)
        mode = named[1] if named else self.server.options.mode
        if self.server.options.key and self.key()[1] != self.server.options.key:
            mode = "401"
        answer = answer_to(question, mode, self.server.options)
        self.record(model=question.model, mode=mode, stream=question.stream, history=question.history(),
                    answered=question.answered(), tools=sorted(question.tools), tool=answer.tool, instructions=question.instructions)
        if mode in ERRORS:
            self.answer_json(ERRORS[mode][0], protocol.error(*ERRORS[mode]))
        elif mode == "hang-before":
            self.wait_for_the_end()
        elif question.stream:
            self.answer_events(protocol, question, answer, mode)
        elif mode in ("hang", "cut"):
            self.answer_json(200, {}, missing=1)
            if mode == "hang":
                self.wait_for_the_end()
            self.close_connection = True
        else:
            if mode == "slow":
                time.sleep(self.server.options.pause * len(answer.pieces))
            self.answer_json(200, protocol.message(question, answer))

    def answer_events(self, protocol, question: Question, answer: Answer, mode: str) -> None:
        self.send_response(200)
        # Gemini's stream is a JSON array unless the caller asks for events.
        as_array = isinstance(protocol, Gemini) and "alt=sse" not in self.path
        self.send_header("Content-Type", "application/json" if as_array else "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if mode == "hang":
            return self.wait_for_the_end()
        events = list(protocol.events(question, answer))
        for number, (name, data) in enumerate(events):
            if mode == "cut" and number == len(answer.pieces) // 2 + 2:
                self.close_connection = True
                return
            if as_array:
                self.chunk(("[" if number == 0 else ",") + json.dumps(data) + ("]" if number + 1 == len(events) else ""))
            else:
                self.chunk((f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n")
            if mode == "slow":
                time.sleep(self.server.options.pause)
        if isinstance(protocol, Chat):
            self.chunk("data: [DONE]\n\n")
        self.chunk("")

    def chunk(self, text: str) -> None:
        encoded = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(encoded), encoded))

    def wait_for_the_end(self) -> None:
        """Until the caller hangs up."""
        self.wfile.flush()
        self.connection.recv(1)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options):
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        self.log_lock = threading.Lock()

    def handle_error(self, request, client_address):
        """Agents that are cancelled hang up while they are answered."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in language model on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--mode", choices=MODES, default="normal", help="for models that name none")
    parser.add_argument("--log", help="file that gets a line per request")
    parser.add_argument("--key", help="callers with another key are answered 401")
    parser.add_argument("--file", default="result.txt", help="what agents are told to write")
    parser.add_argument("--text", default="written by an agent", help="its content; no quotes")
    parser.add_argument("--workspace", default="/workspace", help="where agents without a shell write it")
    parser.add_argument("--pieces", type=int, default=1200, help="of a slow answer")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds after each of them")
    server = Server(parser.parse_args())
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
