"""How limits, rules and changes that wait look to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ordergate.cli.cells import Row
from ordergate.cli.tables import plain, sheet

_CONTENT: Final = ("scope", "of", "mode", "severity", "effective_from", "effective_to", "owner")
_USUALLY: Final = {"mode": "enforce", "severity": "hard"}


def in_force(rows: Sequence[Row]) -> Table:
    """One line for each limit of each account."""
    lines = []
    for row in rows:
        account = row["account_id"]
        for path, value in _flat({name: row[name] for name in row if name != "account_id"}):
            lines.append((account, path, value))
    return plain(("account", "limit", "value"), lines)


def rules(rows: Iterable[Row]) -> Table:
    names = ("rule", "scope", "of", "mode", "severity", "version", "owner", "says")
    return plain(
        names,
        (
            (
                row["id"],
                row["scope"],
                row["of"],
                row["mode"],
                row["severity"],
                row["version"],
                row["owner"],
                "; ".join(f"{path} {value}" for path, value in _flat(row["limits"])),
            )
            for row in rows
        ),
    )


def one_rule(row: Row) -> Group:
    facts = {name: value for name, value in row.items() if name != "limits" and value not in (None, "")}
    return Group(sheet(facts), plain(("limit", "value"), _flat(row["limits"])))


def plan(told: Row, standing: Mapping[str, Row], wanted: Mapping[str, Row]) -> Group:
    """What a file would change, rule by rule."""
    lines: list[Text] = []
    for how, ids in (("at once", told["at_once"]), ("waits for another person", told["waiting"])):
        for rule_id in ids:
            lines.append(Text(f"{rule_id}: {how}", style="bold"))
            lines += _differences(standing.get(rule_id), wanted.get(rule_id))
    if told["loosens"]:
        lines.append(Text("would allow more: " + ", ".join(told["loosens"]), style="yellow"))
    return Group(*(lines or [Text("nothing differs", style="dim")]))


def dry_run(told: Row) -> Group:
    words = (
        f"of the last {told['orders']} orders {told['would_refuse']} would be refused that were accepted, "
        f"and {told['would_accept']} accepted that were denied"
    )
    lines = [Text(words)]
    if told["unlisted"]:
        lines.append(Text(f"{told['unlisted']} of them are in what is not listed any more", style="yellow"))
    lines += [
        Text(f"{one['control']} not judged for {one['orders']}: the journal does not say", style="yellow")
        for one in told["not_judged"]
    ]
    names = ("order", "judged", "symbol", "side", "quantity", "was", "refused by", "no longer by", "unjudged")
    rows = (
        (
            row["order_id"],
            row["at"],
            row["symbol"],
            row["side"],
            row["quantity"],
            row["recorded"],
            "; ".join(f"{failed['control']} {failed['detail']}" for failed in row["newly"]),
            ", ".join(row["no_longer"]),
            ", ".join(row["not_judged"]),
        )
        for row in told["differences"]
    )
    return Group(*lines, plain(names, rows)) if told["differences"] else Group(*lines)


def edited(told: Row) -> Group:
    lines = [Text(f"{rule['id']}: version {rule['version']} is in force") for rule in told["rules"]]
    lines += [Text(f"{rule_id}: removed") for rule_id in told["removed"]]
    change = told["change"]
    if change is not None:
        lines.append(Text(f"{change['id']} waits for another person", style="yellow"))
        lines += [Text(f"  {word}", style="yellow") for word in change["summary"]]
    return Group(*(lines or [Text("nothing differs", style="dim")]))


def changes(rows: Iterable[Row]) -> Table:
    names = ("change", "about", "state", "by", "proposed", "expires", "allows", "reason")
    return plain(
        names,
        (
            (
                row["id"],
                row["subject"],
                row["state"],
                row["proposed_by"],
                row["proposed_at"],
                row["expires_at"],
                ", ".join(row["summary"]),
                row["reason"],
            )
            for row in rows
        ),
    )


def facts_of_change(row: Row) -> dict[str, Any]:
    facts = {name: value for name, value in row.items() if name not in ("content", "summary")}
    facts["allows"] = ", ".join(row["summary"])
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _differences(before: Row | None, after: Row | None) -> Iterator[Text]:
    """Line by line, as a diff has them."""
    was, will = dict(_said(before)), dict(_said(after))
    for name in sorted({*was, *will}):
        if was.get(name) == will.get(name):
            continue
        if name in was:
            yield Text(f"  - {name}: {was[name]}", style="red")
        if name in will:
            yield Text(f"  + {name}: {will[name]}", style="green")


def _said(rule: Row | None) -> Iterator[tuple[str, str]]:
    if rule is None:
        return
    for name in _CONTENT:
        value = rule.get(name) or _USUALLY.get(name)
        if value is not None:
            yield name, str(value)
    yield from _flat(rule.get("limits", {}))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every value with its path."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            shown = inner if isinstance(inner, str) else msgspec.json.encode(inner).decode()
            yield f"{prefix}{name}", shown
