"""One order as its clients may see it: placed once, changed by what was taken, ended once.

The order's life goes on without its clients: fills come, the broker confirms or refuses, it ends.
So the model keeps what is known for certain, and lets everything else happen at any time. What is
shown never goes back: neither its time, nor what is filled, nor its version, nor its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec

FINAL: Final = frozenset({"denied", "rejected", "filled", "canceled", "expired"})


class Verb(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    REPLACE = "replace"
    READ = "read"


class Terms(msgspec.Struct, frozen=True):
    quantity: Decimal | None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None

    def changed(self, by: Terms) -> Terms:
        return Terms(
            by.quantity or self.quantity, by.limit_price or self.limit_price, by.stop_price or self.stop_price
        )


class Asked(msgspec.Struct, frozen=True):
    verb: Verb
    terms: Terms | None = None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was shown; `found` is False for "there is no such order"."""

    found: bool = True
    status: str = ""
    terms: Terms = Terms(None)
    cum_qty: Decimal = Decimal(0)
    version: int = 0
    cancel_requested: bool = False
    updated_at: str = ""


ABSENT: Final = Shown(found=False)


class Told(msgspec.Struct, frozen=True):
    """`taken` of a command; the order where it was shown; `ended` when it was refused as final."""

    taken: bool
    shown: Shown | None = None
    ended: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is certain of the order.

    `ways` are the terms that it may have by now; `terms` are those it was last shown with, under `version`.
    """

    placed: bool = False
    ways: frozenset[Terms] = frozenset()
    terms: Terms | None = None
    cum_qty: Decimal = Decimal(0)
    version: int = 0
    cancel_taken: bool = False
    ended: bool = False
    end: str | None = None
    updated_at: str = ""


class OrderModel:
    start = Known()

    def after(self, state: Known, asked: Asked, told: Told | None) -> Iterator[Known]:
        if asked.verb is Verb.PLACE:
            state = state if state.placed else _placed(state, asked)
            yield from _seen(state, told)
            return
        if not state.placed:
            if asked.verb is Verb.READ and told is not None and told.shown == ABSENT:
                yield state
            return
        if told is not None and told.ended:
            yield msgspec.structs.replace(state, ended=True)
            return
        if told is not None and not told.taken:
            yield state
            return
        if asked.verb is not Verb.READ and state.ended:
            return  # nothing is taken for an order that is known to have ended
        yield from _seen(_asked(state, asked), told)


def _placed(state: Known, asked: Asked) -> Known:
    assert asked.terms is not None
    return msgspec.structs.replace(state, placed=True, ways=frozenset({asked.terms}))


def _asked(state: Known, asked: Asked) -> Known:
    match asked.verb:
        case Verb.CANCEL:
            return msgspec.structs.replace(state, cancel_taken=True)
        case Verb.REPLACE:
            assert asked.terms is not None
            more = frozenset(way.changed(asked.terms) for way in state.ways)
            return msgspec.structs.replace(state, ways=state.ways | more)
        case _:
            return state


def _seen(state: Known, told: Told | None) -> Iterator[Known]:
    """What the picture of the order adds, if the order may look so now."""
    shown = None if told is None else told.shown
    if shown is None:
        yield state
        return
    possible = (
        shown.found
        and shown.updated_at >= state.updated_at
        and shown.cum_qty >= state.cum_qty
        and shown.version >= state.version
        and shown.terms in state.ways
        and (state.version != shown.version or state.terms in (None, shown.terms))
        and (state.cancel_taken or not shown.cancel_requested)
        and (not state.ended or shown.status in FINAL)
        and (state.end in (None, shown.status) or shown.cum_qty > state.cum_qty)
    )
    if not possible:
        return
    yield msgspec.structs.replace(
        state,
        terms=shown.terms,
        cum_qty=shown.cum_qty,
        version=shown.version,
        ended=state.ended or shown.status in FINAL,
        end=shown.status if shown.status in FINAL else None,
        updated_at=shown.updated_at,
    )


def terms_of(order: Mapping[str, Any]) -> Terms:
    """The terms in an order, or in a request for one, that clients may change."""
    said = (order.get(name) for name in ("quantity", "limit_price", "stop_price"))
    return Terms(*(None if one is None else Decimal(one) for one in said))


def shown(order: Mapping[str, Any]) -> Shown:
    """An order as REST and the stream write it."""
    return Shown(
        status=order["status"],
        terms=terms_of(order),
        cum_qty=Decimal(order["cum_qty"]),
        version=order["version"],
        cancel_requested=order["cancel_requested"],
        updated_at=order["updated_at"],
    )
