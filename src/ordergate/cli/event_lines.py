"""One event on one line, for a list that grows downwards while somebody watches."""

from __future__ import annotations

from rich.text import Text

from ordergate.cli.cells import Row, clock, side, status


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
    for failed in _denied_by(row):
        line.append(f" {failed['control']} {failed['detail']}", "red")
    return line


def _denied_by(row: Row) -> list[Row]:
    """The controls that denied an order, or a replacement of one."""
    said = row.get("detail") if row["kind"] == "replace_denied" else None
    denied: list[Row] = (said or {}).get("failed", [])
    return denied or (row["order"]["failed_controls"] if row["kind"] == "order_denied" else [])


def order_line(order: Row) -> Text:
    """An order as it stands, on one line among its events."""
    line = Text.assemble((f"{clock(order['updated_at'])} ", "dim"), ("as it stands ", "bold"))
    line.append_text(_as_it_stands(order))
    if order.get("reason"):
        line.append(f" {order['reason']}", "yellow")
    return line


def _as_it_stands(order: Row) -> Text:
    line = Text.assemble((f"{order['id']} ", "dim"), side(order["side"]))
    line.append(f" {order['quantity']} {order['symbol']} ")
    line.append_text(status(order["status"]))
    return line.append(f" {order['cum_qty']}/{order['quantity']}")
