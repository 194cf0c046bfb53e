"""A real Prometheus scrapes the server."""

import socket
import subprocess

import httpx
import pytest
from service import answer
from waiting import wait_until

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sandy
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture(scope="module")
def prometheus(server, tmp_path_factory):
    """The address of a Prometheus that scrapes the server every second."""
    folder = tmp_path_factory.mktemp("prometheus")
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(target=server.base_url.removeprefix("http://")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def query(address, expression):
    """The value of the first sample of an expression; None when there is none yet."""
    try:
        response = httpx.get(f"{address}/api/v1/query", params={"query": expression})
    except httpx.TransportError:  # it is still starting
        return None
    found = response.json().get("data", {}).get("result", []) if response.status_code == 200 else []
    return float(found[0]["value"][1]) if found else None


def test_its_queries_show_what_the_server_did(prometheus, api, box):
    for _ in range(5):
        api.exec(box, "echo something")
    assert api.http.get("/api/sandboxes/0123456789abcdef").status_code == 404
    expected = {
        'up{job="sandy"}': 1,
        "sum(sandy_sandboxes)": 1,
        "sum(sandy_sandboxes_created_total)": 1,
        "sum(sandy_execs_total)": 5,
        "sum(sandy_exec_duration_seconds_count)": 5,
        "sum(sandy_sandbox_create_duration_seconds_count)": 1,
        "sum(sandy_http_requests_total)": 7,
        "sum(sandy_http_request_duration_seconds_bucket{le=\"+Inf\"})": 7,
        'sum(sandy_http_requests_total{status=~"404|4.."})': 1,
        "sum(sandy_guest_bytes_total)": 1,
        "process_resident_memory_bytes": 1_000_000,
        "sandy_build_info": 1,
    }
    for expression, least in expected.items():
        wait_until(lambda: (query(prometheus, expression) or 0) >= least, f"{expression} reaches {least}", 20)
    assert query(prometheus, "histogram_quantile(0.5, sum by (le) (sandy_exec_duration_seconds_bucket))") > 0


def test_labels_never_hold_ids(api, box):
    api.exec(box, "true")
    text = api.http.get("/metrics").text
    assert box not in text and "0123456789abcdef" not in text and 'route="/api/sandboxes/{id}/exec"' in text


def test_promtool_has_nothing_to_say_about_the_metrics(api):
    response = api.http.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    checked = subprocess.run(["promtool", "check", "metrics"], input=response.text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_counts_go_up_by_what_was_done(api, box):
    def value(name, label):
        lines = api.http.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{") and label in line)

    before = value("sandy_http_requests_total", 'route="/api/sandboxes/{id}/exec"')
    for _ in range(3):
        answer(api.http.post(f"/api/sandboxes/{box}/exec", json={"command": "true"}))
    wait_until(lambda: value("sandy_http_requests_total", 'route="/api/sandboxes/{id}/exec"') == before + 3, "three more")
