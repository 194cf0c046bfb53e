"""Whole sessions, request by request, as each known client makes them."""

import base64
import json

import pytest
from service import answer, refusal
from waiting import wait_until

PAGE = "<!doctype html><html><body><div id=\"root\"></div></body></html>"


def test_web_ide(api):
    created = answer(api.http.post("/api/sandboxes", json={"priority": 1, "preemptable": False, "upstream": "docker-primary"}))
    box = created["sandboxId"]
    assert len(box) >= 8 and created["url"]
    base = f"/api/sandboxes/{box}"

    def run(command, timeout_ms=600000, cwd="/workspace"):
        return answer(api.http.post(f"{base}/exec", json={"command": command, "cwd": cwd, "env": {}, "timeoutMs": timeout_ms}))

    assert run("test -f /opt/sandy/template/package.json && echo yes || echo no")["stdout"] in ("yes\n", "no\n")
    for path, content in (("package.json", "{}"), ("index.html", PAGE), ("src/main.jsx", "import './index.css'\n")):
        answer(api.http.post(f"{base}/files/write", json={"path": path, "content": content}))
    assert run("pkill -f vite || true")["exitCode"] in (0, 143)
    run("nohup python3 -m http.server 5173 --bind 0.0.0.0 > /tmp/vite.log 2>&1 &")
    status = "curl -s -o /dev/null -w '%{http_code}' http://localhost:5173/"
    wait_until(lambda: run(status)["stdout"] == "200", "the development server answers")
    answer(api.http.post(f"{base}/files/write", json={"path": ".chutes/project.json", "content": '{"a": 1}'}))
    read = answer(api.http.get(f"{base}/files/read", params={"path": ".chutes/project.json"}))
    assert json.loads(read["content"]) == {"a": 1}
    files = answer(api.http.get(f"{base}/files/list", params={"path": "/workspace"}))["files"]
    assert files == [".chutes/project.json", "index.html", "package.json", "src/main.jsx"]
    size = run(f"stat -c '%s' '/workspace/{files[1]}'")["stdout"]
    assert int(size) == len(PAGE)
    assert run("tar -czf /tmp/cp.tgz -C /workspace . && base64 -w0 /tmp/cp.tgz")["stdout"]
    assert answer(api.http.get(base))["sandboxId"] == box
    answer(api.http.post(f"{base}/terminate"))
    assert "Sandbox" in (detail := refusal(api.http.post(f"{base}/exec", json={"command": "true"}), 404)) and "not found" in detail


def test_baseline_agent(api):
    body = {"priority": 1, "ttl_seconds": 600, "expose_ports": [5173]}
    created = answer(api.http.post("/api/sandboxes", json=body, headers={"X-Request-Id": "base-1"}))
    base = f"/api/sandboxes/{created['sandbox_id']}"
    pack = base64.b64encode(bytes(range(256)) * 800).decode()
    run = {"command": f"mkdir -p /workspace/pack && echo '{pack}' | base64 -d > /workspace/pack/a.bin", "timeout": 600, "timeoutMs": 600000}
    result = answer(api.http.post(f"{base}/exec", json=run, headers={"X-Request-Id": "base-2"}))
    assert (result["exit_code"], result["stdout"]) == (0, "")
    read = answer(api.http.get(f"{base}/files/read", params={"path": "/workspace/pack/a.bin"}))
    assert read["encoding"] == "base64" and read["content"] == pack
    answer(api.http.post(f"{base}/terminate", headers={"Content-Type": "application/json"}))


def test_agent_pack_inside_a_sandbox(api):
    created = answer(api.http.post("/api/sandboxes", json={"ttl_seconds": 600, "expose_ports": [3000], "priority": "HIGH"}))
    base = f"/api/sandboxes/{created['sandbox_id']}"
    assert created["status"] == "running" and 0 < created["ttl_remaining"] <= 600 and created["public_url"]
    result = answer(api.http.post(f"{base}/exec", json={"command": "nohup sleep 100 > /tmp/l 2>&1 & echo $!", "timeout": 10}))
    assert result["exit_code"] == 0 and int(result["stdout"]) > 1
    content = base64.b64encode(b"\x89PNG\xff").decode()
    answer(api.http.post(f"{base}/files/write", json={"path": "a.png", "content": content, "encoding": "base64"}))
    raw = api.http.get(f"{base}/files/read", params={"path": "a.png"}, headers={"Accept": "application/octet-stream"})
    assert raw.content == b"\x89PNG\xff"
    for _ in range(2):  # raises on 404
        answer(api.http.post(f"{base}/terminate"))


def test_research(api):
    body = {"priority": 1, "preemptable": False, "flavor": "agent-ready"}
    base = f"/api/sandboxes/{answer(api.http.post('/api/sandboxes', json=body))['sandboxId']}"
    assert answer(api.http.get(base))["sandboxId"]
    script = "import json\nopen('/workspace/deep-research/out.json', 'w').write(json.dumps({'x': 'y' * 4_000_000}))\n"
    answer(api.http.post(f"{base}/files/write", json={"path": "/workspace/deep-research/crawl.py", "content": script}))
    command = {"command": "python3 /workspace/deep-research/crawl.py", "env": {"HOME": "/workspace"}, "timeoutMs": 600000}
    assert answer(api.http.post(f"{base}/exec", json=command))["exitCode"] == 0
    read = answer(api.http.get(f"{base}/files/read", params={"path": "/workspace/deep-research/out.json"}))
    assert json.loads(read["content"]) == {"x": "y" * 4_000_000}
    command = {"command": "stat -c %s out.json; tail -c 3 out.json", "cwd": "/workspace/deep-research", "timeoutMs": 5000}
    assert answer(api.http.post(f"{base}/exec", json=command))["stdout"] == '4000009\ny"}'
    answer(api.http.post(f"{base}/terminate"))


def test_benchmark(api):
    base = f"/api/sandboxes/{answer(api.http.post('/api/sandboxes', json={'priority': 3, 'preemptable': True}))['sandboxId']}"
    archive = base64.b64encode(bytes(3_000_000)).decode()
    answer(api.http.post(f"{base}/files/write", json={"path": "archive.b64", "content": archive}))
    command = {"command": "base64 -d archive.b64 | wc -c; which apt-get", "env": {}, "timeoutMs": 1800000}
    assert answer(api.http.post(f"{base}/exec", json=command))["stdout"] == "3000000\n/usr/bin/apt-get\n"
    assert answer(api.http.get("/api/resources"))["canCreateSandbox"] is True
    assert answer(api.http.get("/api/sandboxes/stats", params={"ids": base.split("/")[-1]}))[0]["sandbox_id"]
    answer(api.http.post(f"{base}/terminate", headers={"Content-Type": "application/json"}))
    assert "sandbox not found" in refusal(api.http.get(base), 404).lower()


@pytest.mark.parametrize("image", ["sandy-docker", "janus-runtime"])
def test_a_base_image_of_a_later_time_is_a_sandbox_or_a_clear_refusal(api, image):
    body = {"image": image, "resources": {"cpu": 2, "memory_mb": 4096, "disk_gb": 10}, "env": {"CHUTES_API_KEY": "k"}}
    response = api.http.post("/api/sandboxes", json=body)
    if response.status_code == 200:
        created = answer(response)
        assert created["warnings"]
        assert api.output(created["sandbox_id"], "echo $CHUTES_API_KEY") == "k\n"
        answer(api.http.post(f"/api/sandboxes/{created['sandbox_id']}/terminate"))
    else:
        assert image in refusal(response, (400, 404, 422, 503))
