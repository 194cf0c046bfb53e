"""What Prometheus scrapes, and what it alerts of."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from monitoring import PROMETHEUS, RULES, declared_families, eventually, grouped_by, names_in, rules, selectors_in

NAMES = [rule["alert"] for rule in rules()]
# No container becomes healthy where nothing is reached. The rest has samples as soon as it is configured.
SEEN_ONLY_WHEN_USED = {"sandy_model_container_start_seconds"}


def promtool(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def installed(tmp_path) -> Path:
    """The files where the README puts them."""
    for name in ("prometheus.yml", "sandy.rules.yml"):
        shutil.copy(PROMETHEUS / name, tmp_path)
    Path(tmp_path, "nodes").mkdir()
    shutil.copy(PROMETHEUS / "nodes.example.yml", tmp_path / "nodes" / "sandy.yml")
    return tmp_path


def test_promtool_accepts_the_configuration(installed):
    checked = promtool("check", "config", "--lint=all", "--lint-fatal", installed / "prometheus.yml")
    assert checked.returncode == 0 and "WARNING" not in checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_promtool_refuses_a_list_of_nodes_that_is_none(installed):
    """So that the test above says something about it."""
    Path(installed, "nodes", "sandy.yml").write_text("- targets: 10.0.0.1:7330\n")
    assert promtool("check", "config", installed / "prometheus.yml").returncode != 0


def test_promtool_accepts_the_rules():
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert checked.returncode == 0 and f"{len(NAMES)} rules found" in checked.stdout, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should_and_not_otherwise():
    checked = promtool("test", "rules", Path(__file__).with_name("rules_test.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tried():
    tests = yaml.safe_load(Path(__file__).with_name("rules_test.yml").read_text())["tests"]
    tried = {check["alertname"] for test in tests for check in test["alert_rule_test"] if check["exp_alerts"]}
    silent = {check["alertname"] for test in tests for check in test["alert_rule_test"] if not check["exp_alerts"]}
    assert tried == set(NAMES) and silent == set(NAMES)


def test_names_are_told_apart():
    assert len(set(NAMES)) == len(NAMES) and all(name.startswith("Sandy") for name in NAMES)


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_every_alert_says_what_is_wrong_and_where(rule):
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith((".", "sandyd"))
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    for labels in grouped_by(rule["expr"]):
        assert shown <= labels, "an annotation shows a label that the expression drops"


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_alerts_name_what_the_server_shows(rule, metrics):
    names = names_in(rule["expr"])
    assert names or rule["expr"].startswith("up{")
    assert names <= metrics.families.keys()
    for family, label, operator, value in selectors_in(rule["expr"]):
        if label == "job":
            assert value == "sandy"
            continue
        assert label in metrics.labels(family)
        # Routes and their statuses appear with use.
        if label not in ("route", "status"):
            there = metrics.values(family, label)
            for alternative in value.split("|") if operator in ("=~", "!~") else [value]:
                assert any(re.fullmatch(alternative, each) for each in there), f"{family} has no {label} {alternative}, but {there}"


def test_little_is_hidden_until_it_is_used(metrics):
    """So that the other tests look at a real server, not at its sources."""
    assert declared_families() - metrics.families.keys() == SEEN_ONLY_WHEN_USED


def test_a_real_prometheus_has_no_trouble_with_the_rules(prometheus):
    def evaluated():
        return [rule for group in (prometheus.ask("/api/v1/rules") or {"groups": []})["groups"] for rule in group["rules"]]

    eventually(lambda: evaluated() and all(rule["health"] != "unknown" for rule in evaluated()), "all rules were evaluated")
    assert {rule["name"]: rule["health"] for rule in evaluated()} == dict.fromkeys(NAMES, "ok")
    # What it can make of a server that does nothing: the image that does not exist, and nothing else.
    assert {rule["name"] for rule in evaluated() if rule["state"] == "firing"} <= {"SandyModelContainersFail"}


def test_nodes_of_files_keep_their_labels(prometheus):
    found = prometheus.ask("/api/v1/query", query='up{job="sandy",cluster="test"}')["result"]
    assert [each["value"][1] for each in found] == ["1"]
