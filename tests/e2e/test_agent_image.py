"""The image agent-ready: Node, the browser, and what its agents keep and are told."""

import json

import agents
import pytest
from service import answer


@pytest.fixture(scope="module")
def agent_box(api):
    """A sandbox with the limits that a caller gets who asks for none."""
    with api.box(image="agent-ready") as made:
        yield made


@pytest.fixture(scope="module")
def port(api, agent_box):
    return agents.start_model(api, agent_box)


def run(api, box: str, body: dict) -> dict:
    done = answer(api.http.post(f"/api/sandboxes/{box}/agent/run", json={**body, "stream": False}, timeout=150))
    assert done["success"] is True, done
    return done


def requests(api, box: str) -> list:
    """What the model was asked, in order."""
    return [json.loads(line) for line in api.output(box, "cat /tmp/model.log").splitlines()]


@pytest.mark.parametrize("agent", ["claude-code", "codex", "opencode", "gemini", "qwen"])
def test_an_agent_that_keeps_sessions_goes_on_with_one(api, agent_box, port, agent):
    first = run(api, agent_box, agents.order(port, agent))
    run(api, agent_box, agents.order(port, agent, prompt="Write it again.", sessionId=first["sessionId"]))
    assert requests(api, agent_box)[-1]["history"] >= 1


@pytest.mark.parametrize("agent", ["claude-code", "codex", "qwen"])
def test_an_agent_hands_its_instructions_to_the_model(api, agent_box, port, agent):
    api.output(agent_box, "rm -f /tmp/model.log")
    instructions = f'Say "ahoy" to {agent},\nalways.'
    run(api, agent_box, agents.order(port, agent, systemPrompt=instructions))
    asked = [each for each in requests(api, agent_box) if each["method"] == "POST"]
    assert any(instructions in each["instructions"] for each in asked)
    assert all(each["authorization"] != "none" for each in asked)


def test_node_is_the_one_that_agents_need_whoever_asks(api, agent_box):
    script = "env -i node --version; env -i PATH=/usr/bin:/bin:/usr/local/bin node --version"
    assert api.output(agent_box, script).split() == ["v22.23.3"] * 2


def test_anybody_may_run_the_agents(api, agent_box):
    script = "useradd --create-home other; for agent in claude codex gemini opencode qwen aider rg; do su other -c \"$agent --version\" || echo no $agent; done"
    assert "no " not in api.output(agent_box, script, timeout=60)


def test_playwright_drives_the_browser(api, agent_box):
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
    assert api.output(agent_box, "node /tmp/visit.js && head -c 4 /tmp/page.png | tail -c 3", timeout=60) == "a page of 2words\nPNG"
