"""What expressions of PromQL name, and what a server shows."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "sandy.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "sandy.json"
# Labels that Prometheus adds, and that of the bounds of a histogram.
COMMON_LABELS = {"job", "instance", "le"}


def rules() -> list:
    """The alerts."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list:
    """What the dashboard shows, without its headings."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> list:
    """Title, expression and legend of everything that the dashboard asks for, as Grafana would ask it of all nodes."""
    found = []
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in expression, f"{panel['title']}: a variable that this test does not know: {expression}"
            found.append((panel["title"], expression, target["legendFormat"]))
    return found


def names_in(expression: str) -> set:
    """The metrics of this server that an expression names, as families: without _bucket and its like."""
    return {_family(name) for name in re.findall(r"\b(?:sandy|process)_[a-z_]+", re.sub(r'"[^"]*"', '""', expression))}


def selectors_in(expression: str) -> list:
    """(family, label, operator, value) of every matcher."""
    return [
        (_family(name), *matcher)
        for name, matchers in re.findall(r"\b((?:sandy|process)_[a-z_]+)\{((?:[^\"}]|\"[^\"]*\")*)\}", expression)
        for matcher in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers)
    ]


def grouped_by(expression: str) -> list:
    """The labels that each sum, count or max leaves, one set each."""
    return [{label.strip() for label in labels.split(",")} for labels in re.findall(r"\bby \(([^)]*)\)", expression)]


def _family(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


@dataclass
class Metrics:
    """One answer of GET /metrics."""

    text: str
    families: dict = field(init=False)  # the labels of every sample, by family

    def __post_init__(self):
        self.families = {}
        for line in self.text.splitlines():
            if match := re.match(r"(\w+)(?:\{(.*)\})? [^ ]+$", line):
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                self.families.setdefault(_family(match[1]), []).append(labels)

    def labels(self, family: str) -> set:
        return set().union(*self.families[family]) | COMMON_LABELS

    def values(self, family: str, label: str) -> set:
        return {labels[label] for labels in self.families[family] if label in labels}


def declared_families() -> set:
    """All that metrics/ declares: some have no sample until they are used."""
    text = "".join(file.read_text() for file in (TOP / "metrics").glob("*.cpp"))
    return set(re.findall(r'"((?:sandy|process)_[a-z_]+)"', text))


def eventually(check, what: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)
