"""What an account's books know at one moment, as values, and those values as text and back.

The text is JSON by lines, each a picture of a part, so that a long one can be written piece by piece
between other work. Decides nothing: what may be trusted, and when, is for whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.order import Order
from ordergate.core.risk.memories import Met
from ordergate.core.risk.profit import Made
from ordergate.core.risk.tally import Executed

ITEMS_OF_A_LINE: Final = 100
BYTES_OF_A_LINE: Final = 65_536


class Unreadable(Exception):
    """The text is no picture."""


class Picture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Every sequence is in the order that the books have it in; `final` begins with the next to be let go,

    and so does `recalled`: old orders that were let go of, and taken back into memory.
    What is reserved for open orders is not in it: it follows from them. `labels` are `Labels`, packed, and
    `broker_ids` `BrokerIds`, where they are kept; `groups` the active ones first. `made`, `made_abroad`,
    `untraded`, `strategies` and `messages` are what risk remembers, `errors` and `executions` what breakers
    count.
    """

    account: Account | None = None
    old_names: dict[Symbol, Symbol] = {}
    open: tuple[Order, ...] = ()
    waiting: tuple[OrderId, ...] = ()
    final: tuple[Order, ...] = ()
    recalled: tuple[Order, ...] = ()
    by_client_id: dict[str, OrderId] = {}
    by_broker_id: dict[str, OrderId] = {}
    earlier_broker_ids: dict[OrderId, tuple[str, ...]] = {}
    labels: bytes = b""
    broker_ids: bytes = b""
    groups: tuple[Group, ...] = ()
    group_of: dict[OrderId, GroupId] = {}
    group_orders: tuple[Order, ...] = ()
    made: dict[int, Made] = {}
    made_abroad: dict[str, dict[int, Made]] = {}
    untraded: tuple[OrderId, ...] = ()
    strategies: tuple[Met, ...] = ()
    messages: tuple[datetime, ...] = ()
    errors: tuple[datetime, ...] = ()
    executions: tuple[Executed, ...] = ()


_EXACT: Final = (
    "account", "old_names", "labels", "made", "made_abroad", "strategies", "messages", "errors", "executions",
)  # fmt: skip
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Picture)


def lines(picture: Picture) -> Iterator[bytes]:
    """The text, piece by piece; each takes about half a millisecond."""
    for name in Picture.__struct_fields__:
        for part in _parts(getattr(picture, name)):
            yield _encode(Picture(**{name: part})) + b"\n"


def read(text: bytes) -> Picture:
    """The picture that `lines` wrote. Raises Unreadable."""
    try:
        parts = _decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Unreadable(str(error)) from error
    return Picture(**{name: _whole(parts, name) for name in Picture.__struct_fields__})


def contradictions(one: Picture, other: Picture) -> tuple[str, ...]:
    """What two pictures of one moment do not agree on, by field.

    Which old orders and groups are still in memory is nobody's truth: of these, those in both are compared.
    """
    exact = [name for name in _EXACT if getattr(one, name) != getattr(other, name)]
    for name in ("open", "final", "recalled", "groups", "group_orders"):
        ours, theirs = _by_id(getattr(one, name)), _by_id(getattr(other, name))
        both = ours.keys() | theirs.keys() if name == "open" else ours.keys() & theirs.keys()
        if any(ours.get(key) != theirs.get(key) for key in both):
            exact.append(name)
    for name in ("waiting", "untraded"):
        if {*getattr(one, name)} != {*getattr(other, name)}:
            exact.append(name)
    return tuple(exact)


def _by_id(items: tuple[Any, ...]) -> dict[str, Any]:
    return {item.id: item for item in items}


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | bytes):
        size = ITEMS_OF_A_LINE if isinstance(value, tuple) else BYTES_OF_A_LINE
        for first in range(0, len(value), size):
            yield value[first : first + size]
    elif isinstance(value, dict):
        items = iter(value.items())
        while part := dict(islice(items, ITEMS_OF_A_LINE)):
            yield part
    elif value:
        yield value


def _whole(parts: list[Picture], name: str) -> Any:
    values = [getattr(part, name) for part in parts]
    kind = type(getattr(_NOTHING, name))
    if kind is tuple:
        return tuple(item for value in values for item in value)
    if kind is bytes:
        return b"".join(values)
    if kind is dict:
        return {key: item for value in values for key, item in value.items()}
    return next((value for value in values if value), getattr(_NOTHING, name))


_NOTHING: Final = Picture()
