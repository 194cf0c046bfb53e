"""The dashboard, and the files that give it to Grafana."""

import json
import re
import subprocess
from collections import Counter

import pytest
import yaml
from monitoring import COMMON_LABELS, DASHBOARD, DEPLOY, dashboard_expressions, declared_families, eventually, grouped_by, names_in, panels, selectors_in

PROVISIONING = DEPLOY / "grafana" / "provisioning"
EXPRESSIONS = dashboard_expressions()
# Of an idle server these are empty: their labels come with use.
WITHOUT_DATA = {"sandy_model_container_start_seconds"}


@pytest.fixture(scope="module")
def dashboard() -> dict:
    return json.loads(DASHBOARD.read_text())


def everything_in(value) -> list:
    """All objects of a document."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + [each for part in below for each in everything_in(part)]


def test_panels_have_numbers_and_titles_of_their_own(dashboard):
    assert max(Counter(panel["id"] for panel in dashboard["panels"]).values()) == 1
    section, titles = "", Counter()
    for panel in dashboard["panels"]:
        section = panel["title"] if panel["type"] == "row" else section
        titles[section, panel["title"]] += 1
    assert titles.most_common(1)[0][1] == 1
    assert all(Counter(target["refId"] for target in panel["targets"]).most_common(1)[0][1] == 1 for panel in panels())


def test_uids_are_told_apart(dashboard):
    sources = yaml.safe_load((PROVISIONING / "datasources" / "sandy.yml").read_text())["datasources"]
    uids = [dashboard["uid"], *(source["uid"] for source in sources)]
    assert len(set(uids)) == len(uids) and all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in uids)


def test_panels_do_not_overlap(dashboard):
    taken = Counter()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    assert taken.most_common(1)[0][1] == 1


def test_the_data_source_is_chosen_by_who_looks(dashboard):
    named = [each["datasource"] for each in everything_in(dashboard) if "datasource" in each]
    assert len(named) > len(panels())
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in named)
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    assert "127.0.0.1" not in DASHBOARD.read_text() and "localhost" not in DASHBOARD.read_text()


def test_promtool_parses_every_expression(tmp_path):
    recorded = [{"record": f"dashboard:expression:{number}", "expr": each[1]} for number, each in enumerate(EXPRESSIONS)]
    file = tmp_path / "expressions.json"  # YAML has all of JSON
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("expression,legend", [each[1:] for each in EXPRESSIONS], ids=[f"{number} {each[0]}" for number, each in enumerate(EXPRESSIONS)])
def test_panels_name_what_the_server_shows(expression, legend, metrics):
    names = names_in(expression)
    assert names or expression.startswith("sum(up{")
    assert names <= metrics.families.keys() | declared_families()
    known = set(COMMON_LABELS)
    for family in names & metrics.families.keys():
        known |= metrics.labels(family)
    if names <= WITHOUT_DATA:
        known |= {"model"}
    for family, label, operator, value in selectors_in(expression):
        assert label in known
        if operator in ("=", "!=") and label != "job":
            assert value in metrics.values(family, label)
    # A legend shows nothing that was summed away.
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    for labels in grouped_by(expression):
        assert labels <= known and shown <= labels


def test_every_metric_is_somewhere():
    """What nobody looks at may as well not be counted."""
    shown = {name for each in EXPRESSIONS for name in names_in(each[1])}
    assert declared_families() - shown == {"process_virtual_memory_bytes"}


def test_a_real_prometheus_answers_every_question(prometheus):
    # Two values make a rate.
    eventually(lambda: prometheus.ask("/api/v1/query", query="sum(rate(sandy_execs_total[1m]))")["result"], "there is a rate")
    empty = [
        title for title, expression, _ in EXPRESSIONS
        if not prometheus.ask("/api/v1/query", query=expression)["result"] and not names_in(expression) <= WITHOUT_DATA
    ]
    assert empty == []


def test_the_choice_of_nodes_finds_the_server(prometheus, metered, dashboard):
    variable = {each["name"]: each for each in dashboard["templating"]["list"]}["instance"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
    found = prometheus.ask(f"/api/v1/label/{label}/values", **{"match[]": metric})
    assert found == [metered.base_url.removeprefix("http://")]


def test_grafana_finds_what_the_readme_installs():
    sources = yaml.safe_load((PROVISIONING / "datasources" / "sandy.yml").read_text())
    providers = yaml.safe_load((PROVISIONING / "dashboards" / "sandy.yml").read_text())
    assert sources["apiVersion"] == providers["apiVersion"] == 1
    source, = sources["datasources"]
    assert source["type"] == "prometheus" and source["url"] == "$PROMETHEUS_URL"
    # No rate is taken of less than four values, as long as both say the same.
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
    provider, = providers["providers"]
    assert f"sandy.json {provider['options']['path']}/" in (DEPLOY / "README.md").read_text()
