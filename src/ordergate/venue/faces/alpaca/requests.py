"""Judges what a client sent: bodies and query strings in, venue values or a denial out.

Pure. Refuses what Alpaca knows but this venue does not offer by name, so that nobody mistakes
a missing feature for an order that works. Whether the market takes it is the exchange's business.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeVar, get_args

from msgspec import UNSET, DecodeError, Struct, UnsetType, ValidationError
from msgspec.json import Decoder

from ordergate.venue.faces.alpaca.errors import MALFORMED, Denial, bad_field
from ordergate.venue.faces.alpaca.wire import PatchBody, PlaceBody
from ordergate.venue.words import Changes, OrderType, SideName, Ticket, TimeInForce

Query = Mapping[str, str]
T = TypeVar("T")

_PLACE: Final = Decoder(PlaceBody)
_PATCH: Final = Decoder(PatchBody)
_SIDES: Final[dict[str, SideName]] = {word: word for word in get_args(SideName)}
_TYPES: Final[dict[str, OrderType]] = {word: word for word in get_args(OrderType)}
_FORCES: Final[dict[str, TimeInForce]] = {word: word for word in get_args(TimeInForce)}
CLIENT_ORDER_ID_LENGTH_MAX: Final = 128


def place(body: bytes, new_id: Callable[[], str]) -> Ticket | Denial:
    """`new_id` names an order whose client gave it no name."""
    try:
        asked = _PLACE.decode(body)
    except ValidationError as fault:
        return bad_field(str(fault))
    except (DecodeError, UnicodeDecodeError):
        return MALFORMED
    refused = _not_offered(asked) or _bad_words(asked) or _bad_amounts(asked)
    if refused is not None:
        return refused
    name = asked.client_order_id or new_id()
    if len(name) > CLIENT_ORDER_ID_LENGTH_MAX:
        return bad_field(f"client_order_id must be no more than {CLIENT_ORDER_ID_LENGTH_MAX} characters")
    kind, force = _TYPES[asked.type or ""], _FORCES[asked.time_in_force or ""]
    extended = bool(asked.extended_hours)
    if extended and (kind != "limit" or force not in ("day", "gtc")):
        return bad_field("extended hours order must be DAY or GTC limit orders")
    return Ticket(
        client_order_id=name,
        symbol=asked.symbol or "",
        side=_SIDES[asked.side or ""],
        type=kind,
        qty=asked.qty or Decimal(0),
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
        time_in_force=force,
        extended_hours=extended,
    )


def _not_offered(asked: PlaceBody) -> Denial | None:
    if asked.order_class not in (None, "", "simple"):
        return bad_field(f"order_class {asked.order_class} is not offered by this venue")
    if asked.legs or asked.take_profit or asked.stop_loss:
        return bad_field("orders with legs are not offered by this venue")
    if asked.notional is not None:
        return bad_field("notional orders are not offered by this venue")
    if asked.position_intent is not None:
        return bad_field("position_intent is not offered by this venue")
    if asked.advanced_instructions:
        return bad_field("advanced_instructions are not offered by this venue")
    if asked.type == "trailing_stop" or asked.trail_price is not None or asked.trail_percent is not None:
        return bad_field("trailing_stop orders are not offered by this venue")
    if asked.time_in_force in ("opg", "cls"):
        return bad_field(f"time_in_force {asked.time_in_force} is not offered by this venue")
    return None


def _bad_words(asked: PlaceBody) -> Denial | None:
    if not asked.symbol:
        return bad_field("symbol is required")
    if asked.side not in _SIDES:
        return bad_field("side must be buy or sell")
    if asked.type not in _TYPES:
        return bad_field("invalid order type")
    if asked.time_in_force not in _FORCES:
        return bad_field("invalid order time_in_force")
    return None


def _bad_amounts(asked: PlaceBody) -> Denial | None:
    if asked.qty is None:
        return bad_field("qty is required")
    wants_limit = asked.type in ("limit", "stop_limit")
    wants_stop = asked.type in ("stop", "stop_limit")
    if wants_limit and asked.limit_price is None:
        return bad_field(f"{asked.type} orders require a limit_price")
    if wants_stop and asked.stop_price is None:
        return bad_field(f"{asked.type} orders require a stop_price")
    if not wants_limit and asked.limit_price is not None:
        return bad_field(f"{asked.type} orders must not have a limit_price")
    if not wants_stop and asked.stop_price is not None:
        return bad_field(f"{asked.type} orders must not have a stop_price")
    return (
        _bad_amount("qty", asked.qty)
        or _bad_amount("limit_price", asked.limit_price)
        or _bad_amount("stop_price", asked.stop_price)
    )


def _bad_amount(name: str, value: Decimal | None) -> Denial | None:
    """The bound on digits keeps a hostile `1e999999999` from being written out."""
    if value is None:
        return None
    if not value.is_finite() or value <= 0:
        return bad_field(f"{name} must be > 0")
    exponent = value.as_tuple().exponent
    if value.adjusted() > 15 or (isinstance(exponent, int) and exponent < -18):
        return bad_field(f"{name} is out of range")
    return None


def patch(body: bytes) -> Changes | Denial:
    try:
        asked = _PATCH.decode(body or b"{}")
    except ValidationError as fault:
        return bad_field(str(fault))
    except (DecodeError, UnicodeDecodeError):
        return MALFORMED
    if asked.trail is not None or asked.notional is not None or asked.advanced_instructions:
        return bad_field("trail, notional and advanced_instructions are not offered by this venue")
    refused = (
        _bad_amount("qty", asked.qty)
        or _bad_amount("limit_price", asked.limit_price)
        or _bad_amount("stop_price", asked.stop_price)
    )
    if refused is not None:
        return refused
    if asked.time_in_force is not None and asked.time_in_force not in _FORCES:
        return bad_field("invalid order time_in_force")
    if asked.client_order_id and len(asked.client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
        return bad_field(f"client_order_id must be no more than {CLIENT_ORDER_ID_LENGTH_MAX} characters")
    return Changes(
        qty=_given(asked.qty),
        limit_price=_given(asked.limit_price),
        stop_price=_given(asked.stop_price),
        time_in_force=_FORCES[asked.time_in_force] if asked.time_in_force else UNSET,
        client_order_id=asked.client_order_id or UNSET,
    )


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


class OrdersQuery(Struct, frozen=True, kw_only=True):
    """What GET /v2/orders filters by."""

    status: Literal["open", "closed", "all"]
    limit: int
    ascending: bool
    after: datetime | None
    until: datetime | None
    symbols: frozenset[str]
    side: str | None
    asset_classes: frozenset[str]
    before_order_id: str | None
    after_order_id: str | None


class ActivitiesQuery(Struct, frozen=True, kw_only=True):
    """What the activities are filtered and paged by."""

    page_size: int
    page_token: str | None
    ascending: bool
    after: datetime | None
    until: datetime | None


class _BadQuery(Exception):
    """Says which parameter could not be read; never leaves this module."""


def orders_query(query: Query) -> OrdersQuery | Denial:
    status = query.get("status") or "open"
    if status not in ("open", "closed", "all"):
        return bad_field("status must be one of open, closed, all")
    try:
        return OrdersQuery(
            status=status,  # type: ignore[arg-type]  # just compared with all three
            limit=_whole(query, "limit", default=50, most=500),
            ascending=_ascending(query),
            after=_moment(query, "after"),
            until=_moment(query, "until"),
            symbols=_words(query, "symbols"),
            side=query.get("side") or None,
            asset_classes=_words(query, "asset_class") - {"all"},
            before_order_id=query.get("before_order_id") or None,
            after_order_id=query.get("after_order_id") or None,
        )
    except _BadQuery as fault:
        return bad_field(str(fault))


def activities_query(query: Query) -> ActivitiesQuery | Denial:
    try:
        after, until = _moment(query, "after"), _moment(query, "until")
        day = _moment(query, "date")
        if day is not None:
            if after is not None or until is not None:
                return bad_field("date can not be combined with after or until")
            after, until = _whole_day(day)
        return ActivitiesQuery(
            page_size=_whole(query, "page_size", default=100, most=100),
            page_token=query.get("page_token") or None,
            ascending=_ascending(query),
            after=after,
            until=until,
        )
    except _BadQuery as fault:
        return bad_field(str(fault))


def _whole_day(day: datetime) -> tuple[datetime, datetime]:
    """`after` is exclusive and the first instant of the day belongs to it."""
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return midnight - timedelta(microseconds=1), midnight + timedelta(days=1)
    except OverflowError:
        raise _BadQuery("invalid date: out of range") from None


def _whole(query: Query, name: str, *, default: int, most: int) -> int:
    text = query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or not 1 <= int(text) <= most:
        raise _BadQuery(f"{name} must be between 1 and {most}")
    return int(text)


def _ascending(query: Query) -> bool:
    direction = query.get("direction") or "desc"
    if direction not in ("asc", "desc"):
        raise _BadQuery("direction must be asc or desc")
    return direction == "asc"


def _words(query: Query, name: str) -> frozenset[str]:
    return frozenset(word.strip() for word in query.get(name, "").split(",") if word.strip())


def _moment(query: Query, name: str) -> datetime | None:
    """RFC 3339, or a date; a time without a zone is UTC."""
    text = query.get(name)
    if not text:
        return None
    # A `+` that the client did not escape arrives as a space.
    for candidate in (text, text.replace(" ", "+")):
        try:
            moment = datetime.fromisoformat(candidate)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise _BadQuery(f"invalid {name}: not an RFC 3339 time")
