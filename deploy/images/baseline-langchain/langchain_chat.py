"""Answers chat completions with LangChain: a model of the platform that may use tools.

The tools are what the platform offers: a search (JANUS_SEARCH_URL), a memory (JANUS_MEMORY_URL) and programs in a sandbox
(JANUS_PLATFORM_URL/sandbox/exec). Their steps are `reasoning_content`, what the model says is the answer.

Environment, beside that of chat_server.py: JANUS_PLATFORM_URL (required), JANUS_LLM_API_KEY, JANUS_SEARCH_URL and
JANUS_MEMORY_URL (by default /search and /memory of the platform), BASELINE_MODEL (what the request names, or janus-router for
this program's own names).
"""

import json
import os
from typing import Any, Dict, Iterator, List, Optional

import httpx
from chat_server import Chat, Delta, Refusal, serve
from langchain_core.messages import AIMessageChunk, BaseMessage, SystemMessage, ToolMessage, convert_to_messages
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from openai import APIConnectionError, APIStatusError, APITimeoutError

NAME = "baseline-langchain"
OWN_NAMES = {NAME, "janus-baseline-langchain", "baseline"}
MOST_ROUNDS = 8  # of tools, for one answer
LONGEST_RESULT = 20_000  # characters of a tool's result that the model gets
INSTRUCTIONS = "You are a helpful assistant. Use the tools where they help; say what you found, with sources where you have them."
KEPT = ("role", "content", "name", "tool_calls", "tool_call_id")  # of a message
FORWARDED = ("temperature", "top_p", "max_tokens")


class Platform:
    """The services that tools use, for one request."""

    def __init__(self, chat: Chat):
        self.chat = chat
        self.base = (os.environ.get("JANUS_PLATFORM_URL") or "").rstrip("/")
        if not self.base:
            raise Refusal(503, "JANUS_PLATFORM_URL is not set")
        self.search_url = os.environ.get("JANUS_SEARCH_URL") or self.base + "/search"
        self.memory_url = (os.environ.get("JANUS_MEMORY_URL") or self.base + "/memory").rstrip("/")
        self.key = os.environ.get("JANUS_LLM_API_KEY") or ""
        self.user = str(chat.body.get("user_id") or chat.body.get("user") or "")

    def ask(self, url: str, body: Dict[str, Any], timeout: float = 60) -> Any:
        headers = {"X-Request-Id": self.chat.id}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        timeout = max(1.0, min(timeout, self.chat.seconds_left()))
        response = httpx.post(url, json=body, headers=headers, timeout=timeout)
        response.raise_for_status()
        return response.json()

    def web_search(self, query: str) -> str:
        """Searches the web. Returns titles, addresses and excerpts."""
        results = self.ask(self.search_url, {"query": query, "num_results": 8}).get("results") or []
        return "\n\n".join(f"{each.get('title')}\n{each.get('url')}\n{each.get('snippet')}" for each in results) or "Nothing was found."

    def remember(self, fact: str) -> str:
        """Keeps a fact about the user for later conversations."""
        conversation = [{"role": "user", "content": fact}]
        self.ask(self.memory_url + "/store", {"user_id": self.user, "conversation": conversation})
        return "It is kept."

    def recall(self, question: str) -> str:
        """Looks up what is known about the user from earlier conversations."""
        found = self.ask(self.memory_url + "/query", {"user_id": self.user, "query": question, "prompt": question}).get("memories") or []
        return "\n".join(str(each.get("full_text") or each.get("caption")) for each in found) or "Nothing is known."

    def run_code(self, code: str, language: str = "python") -> str:
        """Runs a program in a sandbox and returns what it prints. Languages: python, javascript, bash."""
        done = self.ask(self.base + "/sandbox/exec", {"language": language, "code": code, "timeout": 60}, timeout=90)
        return json.dumps({"stdout": done.get("stdout"), "stderr": done.get("stderr"), "exit_code": done.get("exit_code")})

    def tools(self) -> List[StructuredTool]:
        offered = [self.web_search, self.run_code]
        if self.user and self.chat.body.get("enable_memory"):
            offered += [self.remember, self.recall]
        return [StructuredTool.from_function(each) for each in offered]


def model_for(chat: Chat, platform: Platform) -> ChatOpenAI:
    name = os.environ.get("BASELINE_MODEL") or ("janus-router" if chat.model in OWN_NAMES else chat.model)
    settings = {key: chat.body[key] for key in FORWARDED if chat.body.get(key) is not None}
    return ChatOpenAI(
        model=name,
        base_url=platform.base + "/v1",
        api_key=platform.key or "none",
        timeout=max(1.0, chat.seconds_left()),
        max_retries=1,
        stream_usage=True,
        default_headers={"X-Request-Id": chat.id},
        **settings,
    )


def conversation_of(chat: Chat) -> List[BaseMessage]:
    try:
        messages = convert_to_messages([{"content": "", **{key: each[key] for key in KEPT if each.get(key)}} for each in chat.messages])
    except (KeyError, TypeError, ValueError, NotImplementedError) as failure:
        raise Refusal(422, f"messages cannot be used: {failure}"[:300]) from failure
    return messages if isinstance(messages[0], SystemMessage) else [SystemMessage(INSTRUCTIONS), *messages]


def event(name: str, /, **payload: Any) -> Delta:
    return {"janus": {"event": name, "payload": payload}}


def use(tool: Optional[StructuredTool], call: Dict[str, Any]) -> str:
    """What a tool says to a call; a failure is told to the model, which may do without."""
    if tool is None:
        return "There is no such tool."
    try:
        return str(tool.invoke(call["args"]))[:LONGEST_RESULT]
    except Exception as failure:  # of the service, or of arguments that the model made up
        return f"The tool failed: {type(failure).__name__}: {failure}"[:500]


def rounds(chat: Chat, messages: List[BaseMessage], model: ChatOpenAI, tools: Dict[str, StructuredTool]) -> Iterator[Delta]:
    for number in range(MOST_ROUNDS + 1):
        # The last round has to end in words.
        asked = model.bind_tools(list(tools.values())) if tools and number < MOST_ROUNDS else model
        whole: Optional[AIMessageChunk] = None
        for piece in asked.stream(messages):
            chat.check()
            whole = piece if whole is None else whole + piece
            if piece.content:
                yield {"content": piece.content if isinstance(piece.content, str) else piece.text}
        if whole is None:
            raise Refusal(502, "The model said nothing")
        if whole.usage_metadata:
            chat.count(whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"])
        if not whole.tool_calls:
            if not whole.response_metadata.get("finish_reason"):
                raise Refusal(502, "The model's answer broke off")
            return
        messages.append(whole)
        for call in whole.tool_calls:
            told = json.dumps(call["args"], ensure_ascii=False)[:500]
            yield event("tool_start", name=call["name"], arguments=call["args"])
            yield {"reasoning_content": f"{call['name']}: {told}\n"}
            result = use(tools.get(call["name"]), call)
            chat.check()
            yield event("tool_end", name=call["name"])
            yield {"reasoning_content": result[:500].rstrip() + "\n"}
            messages.append(ToolMessage(result, tool_call_id=call["id"]))


def answer(chat: Chat) -> Iterator[Delta]:
    platform = Platform(chat)
    tools = {each.name: each for each in platform.tools()}
    try:
        yield from rounds(chat, conversation_of(chat), model_for(chat, platform), tools)
    except APITimeoutError as failure:
        raise Refusal(504, "The model did not answer in time") from failure
    except APIConnectionError as failure:
        raise Refusal(502, "The model cannot be reached") from failure
    except APIStatusError as failure:
        raise Refusal(429 if failure.status_code == 429 else 502, f"Error from the model: {failure.status_code}") from failure


if __name__ == "__main__":
    serve(NAME, answer)
