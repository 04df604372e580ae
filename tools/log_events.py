"""Every line that the product may log, read from its code: event, level, who says it, and with what facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SOURCE: Final = Path(__file__).resolve().parents[1] / "src" / "ordergate"
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_WITH_TRACE: Final = "exception"  # an error, with where it came from
_BY_NEED: Final = "tell"  # where the level depends, the method goes by this name

PAGE: Final = """# Log events

Written from the code by `python -m tools.generated`: each line that the product may log, besides what its
libraries say. Every line has its time, and the `correlation_id` of what it is about, where it has one.
[Where they go](../operations.md#logs).

| event | level | said by | facts |
|---|---|---|---|
{rows}
"""


class Event(NamedTuple):
    name: str
    level: str
    module: str
    facts: tuple[str, ...]


def page() -> str:
    found: dict[str, list[Event]] = {}
    for event in sorted(set(events(SOURCE))):
        found.setdefault(event.name, []).append(event)
    rows = []
    for name, places in found.items():
        levels = sorted({one.level for one in places}, key=[*LEVELS, "by need"].index)
        modules = sorted({f"`{one.module}`" for one in places})
        facts = sorted({fact for one in places for fact in one.facts})
        rows.append(f"| `{name}` | {', '.join(levels)} | {', '.join(modules)} | {', '.join(facts)} |")
    return PAGE.format(rows="\n".join(rows))


def events(source: Path) -> Iterator[Event]:
    for file in sorted(source.rglob("*.py")):
        module = file.relative_to(source).with_suffix("").as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (level := _level(node)) is not None:
                yield from (
                    Event(name, level, module, tuple(one.arg for one in node.keywords if one.arg))
                    for name in _names(node)
                )


def _level(call: ast.Call) -> str | None:
    called = call.func
    if isinstance(called, ast.Name):
        return "by need" if called.id == _BY_NEED and call.keywords else None
    if not isinstance(called, ast.Attribute) or called.attr not in (*LEVELS, _WITH_TRACE):
        return None
    of = called.value
    name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
    level = "error" if called.attr == _WITH_TRACE else called.attr
    return level if name.strip("_") == "log" else None


def _names(call: ast.Call) -> list[str]:
    """What it is called: one text, or one of two."""
    said = call.args[0] if call.args else None
    each = [said.body, said.orelse] if isinstance(said, ast.IfExp) else [said]
    found = [one.value for one in each if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if len(found) != len(each):
        raise ValueError(f"an event is a literal: {ast.unparse(call)}")
    return found
