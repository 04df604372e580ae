"""Order events as records for a regulator: the union of what MiFID II RTS 24, CAT and CFTC 1.35 ask. Pure.

One row for each event of an order, and of a group of orders as a whole, made of what the journal holds
and nothing else; a field that is not known is empty, and never guessed. Amounts stay exact decimals,
times are UTC to the microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.audit.group_records import GroupRecords
from ordergate.core.accounts.events import AccountOpened, OverrideUsed
from ordergate.core.contingent.events import GroupEvent, LegReleased
from ordergate.core.ids import AccountId, cl_ord_id
from ordergate.core.orders import events as e
from ordergate.ports.journal import Stored

TEXT: Final = "text"
NUMBER: Final = "number"
AMOUNT: Final = "amount"
TIME: Final = "time"
FLAG: Final = "flag"

# Column, its type, and where the rules ask for it.
COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("firm", TEXT, "RTS 24 art. 2; CAT firm designated id"),
    ("tenant", TEXT, "client identification"),
    ("environment", TEXT, "paper or live"),
    ("account", TEXT, "RTS 24 art. 2; 1.35 account"),
    ("venue", TEXT, "RTS 24 art. 5; broker or venue"),
    ("broker_account", TEXT, "the account as the broker calls it"),
    ("event_seq", NUMBER, "RTS 24 art. 12: sequence"),
    ("event_type", TEXT, "RTS 24 art. 6: order event"),
    ("event_time", TIME, "RTS 24 art. 4: date and time"),
    ("correlation_id", TEXT, "the request or report that caused it"),
    ("order_id", TEXT, "RTS 24 art. 7; of a group its own id"),
    ("cl_ord_id", TEXT, "as sent to the broker"),
    ("client_order_id", TEXT, "the client's own label"),
    ("broker_order_id", TEXT, "as the broker calls it"),
    ("parent_id", TEXT, "CAT parent order: the group that the order is a part of, by its order_id"),
    ("group_kind", TEXT, "of a group: bracket, oco, oto, trailing_stop or flatten"),
    ("legs", TEXT, "of a group: its orders as asked for, as JSON"),
    ("version", NUMBER, "of the order's terms"),
    ("actor", TEXT, "RTS 24 art. 3: who decided and who executed; CAT"),
    ("algorithm", TEXT, "RTS 24 art. 3: algorithm; strategy"),
    ("algorithm_version", TEXT, "RTS 24 art. 3: the algorithm's version"),
    ("decision_maker", TEXT, "RTS 24 art. 3: the person who answers for the algorithm"),
    ("capacity", TEXT, "RTS 24 art. 2(3): trading capacity"),
    ("symbol", TEXT, "RTS 24 art. 8"),
    ("side", TEXT, "RTS 24 art. 10"),
    ("order_type", TEXT, "RTS 24 art. 9"),
    ("converted_from", TEXT, "the type as asked for, where the limits made it another"),
    ("time_in_force", TEXT, "RTS 24 art. 5: validity"),
    ("extended_hours", FLAG, "CAT: trading session"),
    ("currency", TEXT, "of the account, and of its fees"),
    ("original_quantity", AMOUNT, "RTS 24 art. 10: initial quantity, before any replacement"),
    ("quantity", AMOUNT, "RTS 24 art. 10: as it is now, or is asked to become"),
    ("displayed_quantity", AMOUNT, "RTS 24 art. 10; whole: nothing is hidden"),
    ("leaves_quantity", AMOUNT, "RTS 24 art. 10: remaining quantity"),
    ("cumulative_quantity", AMOUNT, "RTS 24 art. 10: traded quantity"),
    ("limit_price", AMOUNT, "RTS 24 art. 9"),
    ("stop_price", AMOUNT, "RTS 24 art. 9"),
    ("average_price", AMOUNT, "of what has traded"),
    ("status", TEXT, "RTS 24 art. 11"),
    ("reject_reason", TEXT, "CAT; why it was refused, every failed control"),
    ("noted_controls", TEXT, "what controls in shadow would have refused, at this decision"),
    ("lifted_controls", TEXT, "RTS 6 art. 15(6): what an override let pass, at this decision"),
    ("override_id", TEXT, "the override that did"),
    ("end_reason", TEXT, "of a group: why nothing of it is left to do"),
    ("execution_id", TEXT, "RTS 24 art. 12: trading venue transaction id"),
    ("execution_revision", NUMBER, "of a correction"),
    ("last_quantity", AMOUNT, "of this execution"),
    ("last_price", AMOUNT, "of this execution"),
    ("fee", AMOUNT, "of this execution"),
    ("expiry_time", TIME, "RTS 24 art. 5: validity; the session's end of an order for the day"),
    ("reference_price", AMOUNT, "of the market, as risk saw it"),
    ("reference_time", TIME, "when the gateway learned that price"),
    ("reference_source", TEXT, "from what"),
    ("position", AMOUNT, "held when risk decided"),
    ("open_buys", AMOUNT, "quantity reserved by open orders to buy, before this one"),
    ("open_sells", AMOUNT, "quantity reserved by open orders to sell, before this one"),
    ("limits_hash", TEXT, "the limits that decided"),
    ("content_hash", TEXT, "of what was approved"),
    ("external", FLAG, "placed elsewhere and adopted"),
    ("received_time", TIME, "CAT: receipt; the gateway took the request"),
    ("decided_time", TIME, "risk's answer to it"),
    ("decision_us", NUMBER, "how long risk took, in microseconds"),
    ("accepted_time", TIME, "of the order, its decision"),
    ("committed_time", TIME, "the decision was durable"),
    ("sent_time", TIME, "CAT: route; the order, cancel or replacement left"),
    ("sent_request", TEXT, "which of them: place, cancel or replace"),
    ("unsent", FLAG, "of a replacement that was rejected: it never left the gateway"),
    ("dispatched_time", TIME, "it was about to be sent again"),
    ("acknowledged_time", TIME, "the broker's acknowledgement arrived"),
    ("broker_time", TIME, "by the broker's clock"),
    ("final_time", TIME, "the order ended"),
    ("monotonic_us", NUMBER, "the process's own clock at the decision"),
    ("clock_offset_us", NUMBER, "RTS 25: how far the machine's clock was off when last measured"),
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for every record of an account."""

    tenant: str
    environment: str
    account: AccountId
    firm: str | None = None
    capacity: str | None = None


class OrderRecords:
    """Turns an account's events, given in order, into rows."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._venue: str | None = None
        self._broker_account: str | None = None
        self._currency: str | None = None
        self._parents: dict[str, str] = {}
        self._quantities: dict[str, Decimal] = {}
        self._groups = GroupRecords()
        self._latest: dict[str, Any] | None = None

    def add(self, stored: Stored) -> dict[str, Any] | None:
        """The row of an event; None where the event is not of an order, or of a group as a whole.

        An override that was used is the event after the acceptance that it made possible, in the same
        unit: it has no row, and is written into that one.
        """
        event = stored.event
        if isinstance(event, LegReleased):
            self._parents[event.order_id] = event.group_id
        if isinstance(event, AccountOpened):
            self._venue, self._broker_account = event.broker, event.broker_account
            self._currency = event.currency
        if isinstance(event, OverrideUsed):
            self._lift(event)
        known = self._of_order(stored) if isinstance(event, e.OrderEvent) else None
        if isinstance(event, GroupEvent):
            known = self._groups.add(event)
        if known is None:
            return None
        row: dict[str, Any] = dict.fromkeys(name for name, _, _ in COLUMNS)
        row.update(self._common(stored))
        row.update(known)
        self._latest = row
        return row

    def _lift(self, used: OverrideUsed) -> None:
        row = self._latest
        if row is not None and row["order_id"] == used.order_id:
            row.update(lifted_controls=_controls(used.lifted), override_id=used.override_id)

    def _of_order(self, stored: Stored) -> dict[str, Any]:
        event: Any = stored.event
        shown = msgspec.json.decode(stored.frame).get("order", {})
        if isinstance(event, _BEGINNINGS):
            self._quantities.setdefault(event.order_id, event.terms.quantity)
        return self._shown(event, shown) | _of_event(event)

    def _common(self, stored: Stored) -> dict[str, Any]:
        return {
            "firm": self._origin.firm,
            "tenant": self._origin.tenant,
            "environment": self._origin.environment,
            "account": self._origin.account,
            "venue": self._venue,
            "broker_account": self._broker_account,
            "event_seq": stored.seq,
            "event_type": str(type(stored.event).__struct_config__.tag),
            "event_time": stored.at,
            "correlation_id": stored.correlation,
            "capacity": self._origin.capacity,
            "currency": self._currency,
        }

    def _shown(self, event: e.OrderEvent, shown: dict[str, Any]) -> dict[str, Any]:
        """The order as it stands after the event."""
        version = shown.get("version")
        return {
            "venue": shown.get("venue") or self._venue,
            "order_id": event.order_id,
            "cl_ord_id": None if version is None else str(cl_ord_id(event.order_id, version)),
            "client_order_id": shown.get("client_order_id"),
            "broker_order_id": shown.get("broker_order_id"),
            "parent_id": self._parents.get(event.order_id),
            "version": version,
            "algorithm": shown.get("strategy"),
            "algorithm_version": shown.get("strategy_version"),
            "decision_maker": shown.get("user"),
            "symbol": shown.get("symbol"),
            "side": shown.get("side"),
            "order_type": shown.get("type"),
            "converted_from": shown.get("converted_from"),
            "time_in_force": shown.get("time_in_force"),
            "extended_hours": shown.get("extended_hours"),
            "original_quantity": self._quantities.get(event.order_id),
            "quantity": _amount(shown.get("quantity")),
            "displayed_quantity": _amount(shown.get("quantity")),
            "leaves_quantity": _amount(shown.get("leaves_qty")),
            "cumulative_quantity": _amount(shown.get("cum_qty")),
            "limit_price": _amount(shown.get("limit_price")),
            "stop_price": _amount(shown.get("stop_price")),
            "average_price": _amount(shown.get("avg_px")),
            "status": shown.get("status"),
            "reject_reason": shown.get("reason"),
            "external": shown.get("external"),
            "accepted_time": _time(shown.get("accepted_at")),
            "acknowledged_time": _time(shown.get("acknowledged_at")),
            "final_time": _time(shown.get("final_at")),
        }


def _of_event(event: e.OrderEvent) -> dict[str, Any]:
    """What only this event says. A replacement that is asked for is shown as asked."""
    found: dict[str, Any] = {}
    for field, column in _SAME.items():
        value = getattr(event, field, None)
        if value is not None and value != "":
            found[column] = value
    if isinstance(event, e.OrderPartiallyFilled | e.OrderFilled | e.ExecutionCorrected):
        found |= {"last_quantity": event.quantity, "last_price": event.price}
    if (version := _replacing(event)) is not None:
        found |= {"version": version, "cl_ord_id": str(cl_ord_id(event.order_id, version))}
    if isinstance(event, e.ReplaceRequested):
        found |= {
            "quantity": event.quantity,
            "displayed_quantity": event.quantity,
            "limit_price": event.limit_price,
            "stop_price": event.stop_price,
        }
    if isinstance(event, e.OrderDenied | e.ReplaceDenied):
        found["reject_reason"] = _controls(event.failed)
    if isinstance(event, e.ReplaceRejected):
        found["unsent"] = event.unsent
    if isinstance(event, e.DispatchStarted):
        found["dispatched_time"] = event.at
    if (sent := getattr(event, "sent_at", None)) is not None:
        found |= {"sent_time": sent, "sent_request": _sent_request(event)}
    return found | _of_decision(event)


def _replacing(event: e.OrderEvent) -> int | None:
    """The version of the replacement that the event is of, where the order is not that one yet, or never."""
    if isinstance(event, e.ReplaceRequested | e.ReplaceRejected | e.OrderSent):
        return event.version
    return None


def _sent_request(event: e.OrderEvent) -> str:
    match event:
        case e.OrderSent(asked=asked):
            return asked.value
        case e.OrderCanceled() | e.CancelRejected():
            return e.Asked.CANCEL.value
        case e.OrderReplaced() | e.ReplaceRejected():
            return e.Asked.REPLACE.value
        case _:
            return e.Asked.PLACE.value


def _of_decision(event: e.OrderEvent) -> dict[str, Any]:
    """What risk judged by, and when. What was written before this was kept has only its own time."""
    if not isinstance(event, _DECISIONS):
        return {}
    found: dict[str, Any] = {"decided_time": event.at, "noted_controls": _controls(event.noted) or None}
    basis = event.basis
    if basis is None:
        return found
    return found | {
        "received_time": basis.received_at or event.at,
        "decision_us": basis.took_us,
        "reference_time": basis.reference_at,
        "reference_source": basis.reference_source,
        "position": basis.position,
        "open_buys": basis.open_buys,
        "open_sells": basis.open_sells,
        "monotonic_us": basis.monotonic_us,
        "clock_offset_us": basis.offset_us,
    }


_DECISIONS: Final = (
    e.OrderAccepted, e.OrderHeld, e.HeldReplaced, e.OrderDenied, e.ReplaceRequested, e.ReplaceDenied,
)  # fmt: skip


_BEGINNINGS: Final = (e.OrderAccepted, e.OrderHeld, e.OrderDenied, e.OrderAdopted)

_SAME: Final = {
    "actor": "actor",
    "config_hash": "limits_hash",
    "content_hash": "content_hash",
    "reference_price": "reference_price",
    "exec_id": "execution_id",
    "revision": "execution_revision",
    "fee": "fee",
    "broker_at": "broker_time",
    "reason": "reject_reason",
    "expires_at": "expiry_time",
    "committed_at": "committed_time",
}


def _controls(failed: Iterable[e.FailedControl]) -> str:
    return "; ".join(f"{one.control} {one.reason}" for one in failed)


def _amount(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _time(value: str | None) -> datetime | None:
    return None if value is None else msgspec.convert(value, datetime)
