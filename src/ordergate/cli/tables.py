"""How the API's answers look to a person. Whatever a gateway says is text here, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ordergate.cli import cells
from ordergate.cli.cells import Row, moment, severity, status, text


def orders(rows: Iterable[Row], *, title: str | None = None) -> Table:
    listed, today = list(rows), cells.today()
    several = _several(listed)
    names = (*several, "order", "status", "symbol", "side", "type")
    table = _table(title, *names, right=("filled", "price", "avg"))
    table.add_column("since", style="dim", overflow="fold")
    for row in listed:
        table.add_row(
            *(text(row["account_id"]) for _ in several),
            text(row["id"]),
            status(row["status"]),
            text(row["symbol"]),
            cells.side(row["side"]),
            text(row["type"]),
            text(f"{row['cum_qty']}/{row['quantity']}"),
            text(_price(row)),
            text(row["avg_px"]),
            text(moment(row["updated_at"], today, to="seconds")),
        )
    return table


def _price(row: Row) -> str | None:
    """What an order is bound by; a stop that becomes a limit has two prices."""
    stop, limit = row["stop_price"], row["limit_price"]
    price: str | None = f"stop {stop} limit {limit}" if stop and limit else limit or stop
    return price


def one_order(order: Row) -> Table:
    """Everything about one order; what it does not have is left out."""
    shown = {name: value for name, value in order.items() if value not in (None, False, [], "")}
    table = sheet({name: value for name, value in shown.items() if name != "failed_controls"})
    for failed in order.get("failed_controls", ()):
        table.add_row("denied by", Text(f"{failed['control']} {failed['detail']}", style="red"))
    return table


def events(rows: Iterable[Row]) -> Table:
    table = _table(None, "at", "event", "status", right=("seq", "filled", "leaves", "price"))
    today = cells.today()
    for row in rows:
        order, execution = row.get("order", {}), row.get("execution") or {}
        table.add_row(
            text(moment(row["at"], today)),
            text(row["kind"]),
            status(order.get("status", "")),
            text(row["seq"]),
            text(order.get("cum_qty")),
            text(order.get("leaves_qty")),
            text(execution.get("price")),
        )
    return table


def positions(rows: Iterable[Row]) -> Table:
    table = _table(None, "account", "symbol", right=("quantity", "avg", "cost", "realised"))
    table.add_column("")
    for row in rows:
        names = ("account_id", "symbol", "quantity", "avg_px", "cost", "realised_pnl", "currency")
        table.add_row(*(text(row[name]) for name in names))
    return table


def balances(rows: Iterable[Row]) -> Table:
    table = _table(None, "account", right=("cash",))
    table.add_column("")
    for row in rows:
        table.add_row(text(row["account_id"]), text(row["cash"]), text(row["currency"]))
    return table


def executions(rows: Iterable[Row]) -> Table:
    table = _table(None, "at", "order", "symbol", "side", "status", right=("quantity", "price", "fee"))
    today = cells.today()
    for row in rows:
        table.add_row(
            text(moment(row["at"], today)),
            text(row["order_id"]),
            text(row["symbol"]),
            cells.side(row["side"]),
            text(row["status"]),
            *(text(row[name]) for name in ("quantity", "price", "fee")),
        )
    return table


def instruments(rows: Iterable[Row]) -> Table:
    table = _table(
        None, "symbol", "name", "class", "currency", "calendar", right=("tick", "lot", "multiplier")
    )
    for row in rows:
        names = ("symbol", "name", "asset_class", "currency", "calendar", "tick", "lot", "multiplier")
        table.add_row(*(text(row[name]) for name in names))
    return table


def worth(rows: Iterable[Row]) -> Table:
    """What is held, at the market's price."""
    table = _table(None, "symbol", right=("quantity", "avg", "mark", "unrealised"))
    table.add_column("")
    for row in rows:
        names = ("symbol", "quantity", "avg_px", "mark", "unrealised_pnl", "currency")
        table.add_row(*(text(row[name]) for name in names))
    return table


def prices(told: Row) -> Table:
    """The last quote, a side in a row, and the last trade."""
    table = _table(told["symbol"], "", right=("price", "size"))
    table.add_column("received at (UTC)")
    today, quote, trade = cells.today(), told["quote"], told["trade"]
    for side in ("bid", "ask") if quote is not None else ():
        table.add_row(side, text(quote[side]), text(quote[f"{side}_size"]), moment(quote["at"], today))
    if trade is not None:
        table.add_row("last", text(trade["price"]), text(trade["size"]), moment(trade["at"], today))
    return table


def preview(told: Row) -> Table:
    accepted = told["would_be_accepted"]
    title = "it would be accepted" if accepted else "it would be refused"
    table = _table(title, "control", "", right=("value", "limit", "headroom"))
    table.add_column("detail")
    for refusal in told.get("refusals", ()):
        table.add_row(text(refusal["code"]), Text("fail", style="red"), "", "", "", text(refusal["detail"]))
    for row in told["controls"]:
        verdict = Text("pass", style="green") if row["passed"] else Text("fail", style="red")
        table.add_row(
            text(row["control"]),
            verdict,
            *(text(row.get(name)) for name in ("value", "limit", "headroom")),
            text(row.get("detail")),
        )
    return table


def limit_uses(rows: Iterable[Row]) -> Table:
    table = _table(None, "limit", "symbol", right=("used", "value", "headroom", "%"))
    table.add_column("rule", overflow="fold")
    for row in rows:
        name = row["limit"] if row["window_s"] is None else f"{row['limit']} {row['window_s']} s"
        amounts = (text(row[each]) for each in ("used", "value", "headroom", "percent"))
        rule = row["rule"] if row["severity"] == "hard" else f"{row['rule']} ({row['severity']})"
        whose = next((f", {each} {row[each]}" for each in ("user", "strategy") if row[each]), "")
        table.add_row(text(name), text(row["symbol"]), *amounts, text(rule + whose))
    return table


def cancel_results(rows: Sequence[Row]) -> Table:
    table = _table(None, "order", "answer")
    for row in rows:
        table.add_row(text(row["order_id"]), text(row["code"]))
    return table


def groups(rows: Iterable[Row]) -> Table:
    listed = list(rows)
    several = _several(listed)
    table = _table(None, *several, "group", "type", "status", "symbol", right=("quantity", "exited"))
    table.add_column("reason")
    for row in listed:
        table.add_row(
            *(text(row["account_id"]) for _ in several),
            text(row["id"]),
            text(row["type"]),
            status(row["status"]),
            *(text(row[name]) for name in ("symbol", "quantity", "exited", "reason")),
        )
    return table


def legs(rows: Iterable[Row]) -> Table:
    table = _table(None, "leg", "side", "type", right=("limit", "stop", "trail"))
    table.add_column("")
    for row in rows:
        percent = row["trail_percent"]
        standing = "live" if row["live"] else "reached" if row["triggered"] else ""
        table.add_row(
            text(row["role"]),
            cells.side(row["side"]),
            text(row["type"]),
            text(row["limit_price"]),
            text(row["stop_price"] or row["stop_level"]),
            text(row["trail_amount"] or (None if percent is None else f"{percent}%")),
            text(standing),
        )
    return table


def group_events(rows: Iterable[Row]) -> Table:
    table, today = _table(None, "at", "event", right=("seq",)), cells.today()
    table.add_column("what")
    for row in rows:
        detail = row["detail"]
        said = [str(detail[name]) for name in _OF_GROUP_EVENTS if name in detail]
        at = moment(row["at"], today)
        table.add_row(text(at), text(row["kind"]), text(row["seq"]), text(" ".join(said)))
    return table


_OF_GROUP_EVENTS: Final = ("role", "order_id", "quantity", "price", "mark", "reason", "actor")


def group_orders(rows: Iterable[Row]) -> Table:
    table = _table(None, "order", "leg", "symbol", "side", right=("filled",))
    table.add_column("result")
    for row in rows:
        filled = None if row["quantity"] is None else f"{row['cum_qty']}/{row['quantity']}"
        table.add_row(
            text(row["order_id"]),
            text(row["role"]),
            text(row["symbol"]),
            cells.side(row["side"] or ""),
            text(filled),
            status(row["result"]),
        )
    return table


def breaks(rows: Iterable[Row]) -> Table:
    listed = list(rows)
    several = _several(listed)
    names = (*several, "break", "severity", "state", "nature", "subject")
    table = _table(None, *names, right=("ours", "theirs", "age"))
    table.add_column("owner", overflow="fold")
    for row in listed:
        table.add_row(
            *(text(row["account_id"]) for _ in several),
            text(row["id"]),
            severity(row["severity"]),
            text(row["state"]),
            text(row["nature"]),
            text(row["subject"]),
            text(row["ours"]),
            text(row["theirs"]),
            text(age(row["age_s"])),
            text(row["owner"]),
        )
    return table


def alarms(rows: Iterable[Row]) -> Group:
    """Each with what there is to decide by, what to do, and how it ends: sentences, too long for columns."""
    lines: list[Text] = []
    for row in rows:
        evidence = [f"{name} {value}" for name, value in row["evidence"].items() if value]
        nature = (row["nature"], "bold red" if row["lasting"] else "yellow")
        where = f"{row['raised_at']}  {row['account_id']}  "
        lines.append(Text.assemble(where, nature, f"  {row['subject']}"))
        lines.append(Text(f"  {'; '.join([row['detail'], *evidence])}"))
        lines.append(Text(f"  do: {row['do']}", style="dim"))
        lines.append(Text(f"  ends: {row['ends']}", style="dim"))
    return Group(*lines)


def history(steps: Iterable[Row]) -> Table:
    table = _table(None, "at", "what", "who", "note")
    for step in steps:
        table.add_row(*(text(value) for value in (step["at"], step["what"], step["actor"], step["note"])))
    return table


def run(told: Row) -> Group:
    """One reconciliation, and what differed."""
    facts = {name: value for name, value in told.items() if name != "differences" and value is not None}
    facts["why"] = ", ".join(told["why"])
    differences = _table(None, "nature", "subject", "sure", right=("ours", "theirs"))
    for row in told["differences"]:
        names = ("nature", "subject", "sure", "ours", "theirs")
        differences.add_row(*(text(row[name]) for name in names))
    return Group(sheet(facts), differences) if told["differences"] else Group(sheet(facts))


def age(seconds: int) -> str:
    """In its two largest units."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])


def plain(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of texts."""
    table = _table(None, *names)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    return table


def destinations(rows: Iterable[Row]) -> Table:
    table = _table(None, "host", "port", "why")
    for row in rows:
        table.add_row(text(row["host"]), text(row["port"]), text(row["why"]))
    return table


def sheet(values: Mapping[str, Any]) -> Table:
    """Names and values, one under the other."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name, status(value) if name == "status" else text(value))
    return table


def _several(rows: Sequence[Row]) -> tuple[str, ...]:
    """The column that tells rows of several accounts apart; none where there is nothing to tell."""
    return ("account",) if len({row["account_id"] for row in rows}) > 1 else ()


def _table(title: str | None, *names: str, right: Sequence[str] = ()) -> Table:
    """What does not fit is folded, never shortened: half a price looks like another price."""
    table = Table(
        title=title,
        title_justify="left",
        box=None,
        header_style="dim",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in names:
        table.add_column(name, no_wrap=name in ("order", "at", "break", "change"), overflow="fold")
    for name in right:
        table.add_column(name, justify="right", overflow="fold")
    return table
