"""Agents started by their definitions alone, without the server's part that runs agents."""

import json
import re
import shlex
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "agents" / "definitions"
SLASH_V1 = ("openai", "responses")  # families whose base URL ends so


def read(agent: str) -> dict:
    return tomllib.loads((FOLDER / f"{agent}.toml").read_text())


def command(definition: dict, port: int, home: str, prompt: str, **values) -> str:
    """A shell script that writes the agent's files and starts it as its definition says, with a model at `port` of
    127.0.0.1. @param values of more placeholders, such as model; `session_id` resumes."""
    base_url = f"http://127.0.0.1:{port}" + ("/v1" if definition["api"] in SLASH_V1 else "")
    known = {"model": "some-lab/stand-in", "base_url": base_url, "api_key": "sk-of-this-test", "home": home,
             "workspace": "/workspace", "prompt": prompt, **values}

    def filled(text: str) -> str:
        def value(found) -> str:
            name = found[1].removeprefix("json:")
            return json.dumps(known[name]) if found[1].startswith("json:") else known[name]
        return re.sub(r"\{([a-z_:]+)\}", value, text)

    arguments = definition["arguments"]
    if "session_id" in values:
        arguments = definition.get("resume_arguments") or arguments + definition["resume"]
    if "system_prompt" in values:
        arguments = arguments + definition["system_prompt"]
    lines = [f"export HOME={home} NO_COLOR=1 TERM=dumb"]
    lines += [f"export {name}={shlex.quote(filled(value))}" for name, value in definition.get("environment", {}).items()]
    for file in definition.get("files", []):
        path = shlex.quote(f"{home}/{file['path']}")
        lines.append(f'mkdir -p "$(dirname {path})" && printf %s {shlex.quote(filled(file["content"]))} >{path}')
    started = shlex.join([definition["program"], *map(filled, arguments)])
    lines.append(f"printf %s {shlex.quote(prompt)} | {started}" if definition["prompt"] == "stdin" else f"{started} </dev/null")
    return "\n".join(lines)
