"""What was measured, beside what was wanted."""

import json
from dataclasses import asdict, dataclass, field


@dataclass
class Row:
    """One line of the table; without a goal it informs. `details` has every single measurement."""

    measure: str
    sandy: str
    peer: str = ""
    ratio: str = ""
    goal: str = ""
    reached: bool | None = None
    details: dict = field(default_factory=dict)


def at_least(measure, sandy, peer, measured, wanted, details):
    """`measured` is how many times better than the peer."""
    return Row(measure, sandy, peer, f"{measured:.2f} x", f">= {wanted} x", measured >= wanted, details)


def below(measure, sandy, measured, wanted, unit, details):
    """`measured` is in `unit`; there is no peer."""
    return Row(measure, sandy, goal=f"< {wanted} {unit}", reached=measured < wanted, details=details)


HEAD = ["measure", "Sandy", "peer", "ratio", "goal", "reached"]


def table(rows):
    """As text that is Markdown, too."""
    def cells(row):
        reached = {None: "", True: "yes", False: "**no**"}[row.reached]
        return [row.measure, row.sandy, row.peer, row.ratio, row.goal, reached]

    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def write(directory, machine, rows):
    directory.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"{name}: {value}" for name, value in machine.items()) + "\n\n" + table(rows) + "\n"
    (directory / "results.txt").write_text(text)
    (directory / "results.json").write_text(json.dumps({"machine": machine, "rows": list(map(asdict, rows))}, indent=1))
    return text
