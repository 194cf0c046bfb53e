"""The image agent-ready: each of its agents works as its definition says, with a stand-in model inside the sandbox; so does
its browser."""

import json
from pathlib import Path

import agent_definitions
import pytest
from running_server import image_dir
from waiting import wait_until

AGENTS = {  # what its last line of output says after a success
    "claude-code": lambda last: json.loads(last)["type"] == "result" and json.loads(last)["subtype"] == "success",
    "codex": lambda last: json.loads(last)["type"] == "turn.completed",
    "opencode": lambda last: json.loads(last)["type"] == "step_finish" and json.loads(last)["part"]["reason"] == "stop",
    "gemini": lambda last: json.loads(last)["type"] == "result" and json.loads(last)["status"] == "success",
    "qwen": lambda last: json.loads(last)["type"] == "result" and json.loads(last)["subtype"] == "success",
    "aider": lambda last: last == "Applied edit to result.txt",
}
# Those that take instructions besides the prompt, and those that take a session up again.
INSTRUCTED = [agent for agent in AGENTS if "system_prompt" in agent_definitions.read(agent)]
# How its output names the session.
SESSION_KEYS = {"claude-code": "session_id", "codex": "thread_id", "opencode": "sessionID", "gemini": "session_id", "qwen": "session_id"}


@pytest.fixture(scope="module")
def agent_box(api):
    """A sandbox with the limits that a caller gets who asks for none."""
    with api.box(image="agent-ready") as made:
        yield made


@pytest.fixture
def model(api, agent_box):
    """The port of a stand-in model inside, which logs to /tmp/model.log."""
    program = (Path(__file__).parent / "model_server.py").read_text()
    api.write(agent_box, "/tmp/model_server.py", program)
    api.output(agent_box, "rm -rf /tmp/model.* result.txt")
    api.start(agent_box, "exec python3 /tmp/model_server.py --log /tmp/model.log >/tmp/model.port")
    yield int(wait_until(lambda: api.output(agent_box, "cat /tmp/model.port || true").strip(), "the model listens"))
    api.output(agent_box, "kill $(pgrep -f '^python3 /tmp/model_server.py')")


def run(api, box: str, agent: str, port: int, **values) -> dict:
    values = {"prompt": "Write the file result.txt.", "home": f"/root/agents/{agent}", **values}
    return api.exec(box, agent_definitions.command(agent_definitions.read(agent), port, **values), timeout=120)


def requests(api, box: str) -> list:
    return [json.loads(line) for line in api.output(box, "cat /tmp/model.log").splitlines()]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_writes_its_file_and_says_that_it_ended(api, agent_box, model, agent):
    result = run(api, agent_box, agent, model)
    assert result["exitCode"] == 0, result
    assert api.output(agent_box, "cat result.txt") == "written by an agent\n"
    assert AGENTS[agent](result["stdout"].strip().splitlines()[-1]), result["stdout"][-2000:]
    asked = [each for each in requests(api, agent_box) if each["method"] == "POST"]
    assert asked and all(each["authorization"] != "none" and each["model"].endswith("some-lab/stand-in") for each in asked)


@pytest.mark.parametrize("agent", SESSION_KEYS)
def test_a_session_goes_on_where_it_ended(api, agent_box, model, agent):
    home = f"/root/agents/{agent}-twice"
    first = run(api, agent_box, agent, model, home=home)
    assert first["exitCode"] == 0, first
    session = next(json.loads(line)[SESSION_KEYS[agent]] for line in first["stdout"].splitlines() if SESSION_KEYS[agent] in json.loads(line))
    second = run(api, agent_box, agent, model, home=home, session_id=session, prompt="Write it again.")
    assert second["exitCode"] == 0, second
    assert requests(api, agent_box)[-1]["history"] >= 1


@pytest.mark.parametrize("agent", INSTRUCTED)
def test_an_agent_hands_its_instructions_to_the_model(api, agent_box, model, agent):
    result = run(api, agent_box, agent, model, system_prompt='Say "ahoy",\nalways.')
    assert result["exitCode"] == 0, result
    assert any('Say "ahoy",\nalways.' in each["instructions"] for each in requests(api, agent_box) if "instructions" in each)


def test_node_is_the_one_that_agents_need_whoever_asks(api, agent_box):
    script = "env -i node --version; env -i PATH=/usr/bin:/bin:/usr/local/bin node --version"
    assert api.output(agent_box, script).split() == ["v22.23.3"] * 2


def test_anybody_may_run_the_agents(api, agent_box):
    script = "useradd --create-home other; for agent in claude codex gemini opencode qwen aider rg; do su other -c \"$agent --version\" || echo no $agent; done"
    assert "no " not in api.output(agent_box, script, timeout=60)


def test_playwright_drives_the_browser(api, agent_box):
    variables = json.loads((Path(image_dir()) / "agent-ready" / "image.json").read_text())["environment"]
    api.write(agent_box, "/tmp/page.html", "<title>before</title><script>document.title = 'a page of ' + 2 + 'words'</script>")
    api.write(agent_box, "/tmp/visit.js", """
        const { chromium } = require("playwright-core");
        (async () => {
          const browser = await chromium.launch();
          const page = await browser.newPage();
          await page.goto("file:///tmp/page.html");
          console.log(await page.title());
          await page.screenshot({ path: "/tmp/page.png" });
          await browser.close();
        })();
    """)
    assert api.output(agent_box, "node /tmp/visit.js && head -c 4 /tmp/page.png | tail -c 3", env=variables, timeout=60) == "a page of 2words\nPNG"
