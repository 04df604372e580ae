"""How the API's answers look to a person. Whatever a gateway says is text here, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_SIDE: Final = {"buy": "green", "sell": "red"}
_SEVERITY: Final = {"severe": "bold red", "warning": "yellow", "info": "dim"}
_STATUS: Final = {
    "filled": "green",
    "working": "cyan",
    "partially_filled": "cyan",
    "rejected": "red",
    "denied": "red",
    "unknown": "bold yellow",
    "canceled": "dim",
    "expired": "dim",
}


def orders(rows: Iterable[Row], *, title: str | None = None) -> Table:
    listed, today = list(rows), _today()
    several = _several(listed)
    names = (*several, "order", "status", "symbol", "side", "type")
    table = _table(title, *names, right=("filled", "price", "avg"))
    table.add_column("since", style="dim", overflow="fold")
    for row in listed:
        table.add_row(
            *(_text(row["account_id"]) for _ in several),
            _text(row["id"]),
            _status(row["status"]),
            _text(row["symbol"]),
            _side(row["side"]),
            _text(row["type"]),
            _text(f"{row['cum_qty']}/{row['quantity']}"),
            _text(_price(row)),
            _text(row["avg_px"]),
            _text(moment(row["updated_at"], today, to="seconds")),
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
    table, today = _table(None, "at", "event", "status", right=("seq", "filled", "leaves", "price")), _today()
    for row in rows:
        order, execution = row.get("order", {}), row.get("execution") or {}
        table.add_row(
            _text(moment(row["at"], today)),
            _text(row["kind"]),
            _status(order.get("status", "")),
            _text(row["seq"]),
            _text(order.get("cum_qty")),
            _text(order.get("leaves_qty")),
            _text(execution.get("price")),
        )
    return table


def event_line(row: Row) -> Text:
    """One event on one line, for a list that grows downwards."""
    order, execution = row.get("order") or {}, row.get("execution") or {}
    line = Text.assemble(
        (f"{clock(row['at'])} ", "dim"), (f"{row['seq']:>6} ", "dim"), (f"{row['kind']:<22} ", "bold")
    )
    if order:
        line.append_text(_as_it_stands(order))
    if execution:
        line.append(f" {execution['quantity']} at {execution['price']}", "green")
    if order.get("reason"):
        line.append(f" {order['reason']}", "yellow")
    return line


def order_line(order: Row) -> Text:
    """An order as it stands, on one line among its events."""
    line = Text.assemble((f"{clock(order['updated_at'])} ", "dim"), ("as it stands ", "bold"))
    line.append_text(_as_it_stands(order))
    if order.get("reason"):
        line.append(f" {order['reason']}", "yellow")
    return line


def _as_it_stands(order: Row) -> Text:
    line = Text.assemble((f"{order['id']} ", "dim"), _side(order["side"]))
    line.append(f" {order['quantity']} {order['symbol']} ")
    line.append_text(_status(order["status"]))
    return line.append(f" {order['cum_qty']}/{order['quantity']}")


def positions(rows: Iterable[Row]) -> Table:
    table = _table(None, "account", "symbol", right=("quantity", "avg", "cost", "realised"))
    table.add_column("")
    for row in rows:
        names = ("account_id", "symbol", "quantity", "avg_px", "cost", "realised_pnl", "currency")
        table.add_row(*(_text(row[name]) for name in names))
    return table


def balances(rows: Iterable[Row]) -> Table:
    table = _table(None, "account", right=("cash",))
    table.add_column("")
    for row in rows:
        table.add_row(_text(row["account_id"]), _text(row["cash"]), _text(row["currency"]))
    return table


def executions(rows: Iterable[Row]) -> Table:
    table = _table(None, "at", "order", "symbol", "side", "status", right=("quantity", "price", "fee"))
    today = _today()
    for row in rows:
        table.add_row(
            _text(moment(row["at"], today)),
            _text(row["order_id"]),
            _text(row["symbol"]),
            _side(row["side"]),
            _text(row["status"]),
            *(_text(row[name]) for name in ("quantity", "price", "fee")),
        )
    return table


def instruments(rows: Iterable[Row]) -> Table:
    table = _table(
        None, "symbol", "name", "class", "currency", "calendar", right=("tick", "lot", "multiplier")
    )
    for row in rows:
        names = ("symbol", "name", "asset_class", "currency", "calendar", "tick", "lot", "multiplier")
        table.add_row(*(_text(row[name]) for name in names))
    return table


def worth(rows: Iterable[Row]) -> Table:
    """What is held, at the market's price."""
    table = _table(None, "symbol", right=("quantity", "avg", "mark", "unrealised"))
    table.add_column("")
    for row in rows:
        names = ("symbol", "quantity", "avg_px", "mark", "unrealised_pnl", "currency")
        table.add_row(*(_text(row[name]) for name in names))
    return table


def prices(told: Row) -> Table:
    """The last quote, a side in a row, and the last trade."""
    table = _table(told["symbol"], "", right=("price", "size"))
    table.add_column("received at (UTC)")
    today, quote, trade = _today(), told["quote"], told["trade"]
    for side in ("bid", "ask") if quote is not None else ():
        table.add_row(side, _text(quote[side]), _text(quote[f"{side}_size"]), moment(quote["at"], today))
    if trade is not None:
        table.add_row("last", _text(trade["price"]), _text(trade["size"]), moment(trade["at"], today))
    return table


def preview(told: Row) -> Table:
    accepted = told["would_be_accepted"]
    title = "it would be accepted" if accepted else "it would be refused"
    table = _table(title, "control", "", right=("value", "limit", "headroom"))
    table.add_column("detail")
    for refusal in told.get("refusals", ()):
        table.add_row(_text(refusal["code"]), Text("fail", style="red"), "", "", "", _text(refusal["detail"]))
    for row in told["controls"]:
        verdict = Text("pass", style="green") if row["passed"] else Text("fail", style="red")
        table.add_row(
            _text(row["control"]),
            verdict,
            *(_text(row.get(name)) for name in ("value", "limit", "headroom")),
            _text(row.get("detail")),
        )
    return table


def limit_uses(rows: Iterable[Row]) -> Table:
    table = _table(None, "limit", "symbol", right=("used", "value", "headroom", "%"))
    table.add_column("rule", overflow="fold")
    for row in rows:
        name = row["limit"] if row["window_s"] is None else f"{row['limit']} {row['window_s']} s"
        amounts = (_text(row[each]) for each in ("used", "value", "headroom", "percent"))
        rule = row["rule"] if row["severity"] == "hard" else f"{row['rule']} ({row['severity']})"
        whose = next((f", {each} {row[each]}" for each in ("user", "strategy") if row[each]), "")
        table.add_row(_text(name), _text(row["symbol"]), *amounts, _text(rule + whose))
    return table


def cancel_results(rows: Sequence[Row]) -> Table:
    table = _table(None, "order", "answer")
    for row in rows:
        table.add_row(_text(row["order_id"]), _text(row["code"]))
    return table


def groups(rows: Iterable[Row]) -> Table:
    listed = list(rows)
    several = _several(listed)
    table = _table(None, *several, "group", "type", "status", "symbol", right=("quantity", "exited"))
    table.add_column("reason")
    for row in listed:
        table.add_row(
            *(_text(row["account_id"]) for _ in several),
            _text(row["id"]),
            _text(row["type"]),
            _status(row["status"]),
            *(_text(row[name]) for name in ("symbol", "quantity", "exited", "reason")),
        )
    return table


def legs(rows: Iterable[Row]) -> Table:
    table = _table(None, "leg", "side", "type", right=("limit", "stop", "trail"))
    table.add_column("")
    for row in rows:
        percent = row["trail_percent"]
        standing = "live" if row["live"] else "reached" if row["triggered"] else ""
        table.add_row(
            _text(row["role"]),
            _side(row["side"]),
            _text(row["type"]),
            _text(row["limit_price"]),
            _text(row["stop_price"] or row["stop_level"]),
            _text(row["trail_amount"] or (None if percent is None else f"{percent}%")),
            _text(standing),
        )
    return table


def group_events(rows: Iterable[Row]) -> Table:
    table, today = _table(None, "at", "event", right=("seq",)), _today()
    table.add_column("what")
    for row in rows:
        detail = row["detail"]
        said = [str(detail[name]) for name in _OF_GROUP_EVENTS if name in detail]
        at = moment(row["at"], today)
        table.add_row(_text(at), _text(row["kind"]), _text(row["seq"]), _text(" ".join(said)))
    return table


_OF_GROUP_EVENTS: Final = ("role", "order_id", "quantity", "price", "mark", "reason", "actor")


def group_orders(rows: Iterable[Row]) -> Table:
    table = _table(None, "order", "leg", "symbol", "side", right=("filled",))
    table.add_column("result")
    for row in rows:
        filled = None if row["quantity"] is None else f"{row['cum_qty']}/{row['quantity']}"
        table.add_row(
            _text(row["order_id"]),
            _text(row["role"]),
            _text(row["symbol"]),
            _side(row["side"] or ""),
            _text(filled),
            _status(row["result"]),
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
            *(_text(row["account_id"]) for _ in several),
            _text(row["id"]),
            _severity(row["severity"]),
            _text(row["state"]),
            _text(row["nature"]),
            _text(row["subject"]),
            _text(row["ours"]),
            _text(row["theirs"]),
            _text(age(row["age_s"])),
            _text(row["owner"]),
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
        table.add_row(*(_text(value) for value in (step["at"], step["what"], step["actor"], step["note"])))
    return table


def run(told: Row) -> Group:
    """One reconciliation, and what differed."""
    facts = {name: value for name, value in told.items() if name != "differences" and value is not None}
    facts["why"] = ", ".join(told["why"])
    differences = _table(None, "nature", "subject", "sure", right=("ours", "theirs"))
    for row in told["differences"]:
        names = ("nature", "subject", "sure", "ours", "theirs")
        differences.add_row(*(_text(row[name]) for name in names))
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
        table.add_row(*(cell if isinstance(cell, Text) else _text(cell) for cell in row))
    return table


def destinations(rows: Iterable[Row]) -> Table:
    table = _table(None, "host", "port", "why")
    for row in rows:
        table.add_row(_text(row["host"]), _text(row["port"]), _text(row["why"]))
    return table


def sheet(values: Mapping[str, Any]) -> Table:
    """Names and values, one under the other."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name, _status(value) if name == "status" else _text(value))
    return table


def clock(at: str) -> str:
    """The time of day of an RFC 3339 time, to the millisecond."""
    return at[11:23].rstrip("Z") if len(at) > 11 else at


def moment(at: str, today: date, *, to: str = "milliseconds") -> str:
    """The time of day of an RFC 3339 time in UTC, and its date before it where that is another day."""
    time = clock(at)[:8] if to == "seconds" else clock(at)
    return time if at[:10] == today.isoformat() else f"{at[:10]} {time}"


def _today() -> date:
    return datetime.now(UTC).date()


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


def _text(value: Any) -> Text:
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text("" if value is None else str(value))


def _status(status: str) -> Text:
    return Text(status, style=_STATUS.get(status, ""))


def _severity(severity: str) -> Text:
    return Text(severity, style=_SEVERITY.get(severity, ""))


def _side(side: str) -> Text:
    return Text(side, style=_SIDE.get(side, ""))
