"""The classes of breaks that heal themselves, each a rule that says what proves it.

A rule looks at one break and at what a reconciliation saw, and returns its proof in words, or
None. What no rule proves waits for a person. Two natures have no rule: a session that was logged in
to the wrong account, and an order that was about to leave otherwise than it was approved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from ordergate.core.accounts.breaks import NOT_FOUND, Break, Nature
from ordergate.core.ids import OrderId
from ordergate.core.money import text
from ordergate.core.orders.order import Order


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one reconciliation saw, and what of it was comparable.

    `differing` are the keys of every difference of this run, sure or not. `compared` are the
    keys that could be compared like with like; `all_compared` natures were compared whole, save
    the keys in `moving`. `orders` are our orders that breaks are about, as they are now.
    `shown` are the orders that the broker showed open, `complete` those of which it counts no more
    executed than we do; `listed_all` says that it listed every open one, and each could be read.
    `stream_heard` says that the broker's stream came up anew and that everything was read since.
    """

    differing: frozenset[tuple[str, str]] = frozenset()
    all_compared: frozenset[Nature] = frozenset()
    moving: frozenset[tuple[str, str]] = frozenset()
    orders: Mapping[OrderId, Order] = {}
    shown: frozenset[OrderId] = frozenset()
    complete: frozenset[OrderId] = frozenset()
    listed_all: bool = False
    stream_heard: bool = False


Proof = Callable[[Break, Evidence], str | None]


class Rule(NamedTuple):
    """One safe class: what it is called, which breaks it may heal, and what proves it."""

    name: str
    natures: frozenset[Nature]
    proof: Proof


def _sides_agree(item: Break, seen: Evidence) -> str | None:
    """Both sides were compared like with like, and there is no difference left."""
    if item.nature not in seen.all_compared or item.key in seen.moving or item.key in seen.differing:
        return None
    return "both sides were compared and agree"


def _executions_came(item: Break, seen: Evidence) -> str | None:
    """Every execution that the broker counted is in our books by now."""
    order = seen.orders.get(OrderId(item.subject))
    if order is None or order.cum_qty < Decimal(item.theirs):
        return None
    return f"our executions sum to {text(order.cum_qty)}"


def _counts_agree(item: Break, seen: Evidence) -> str | None:
    """What the broker counted more it counts no more: it was taken back, or its answer was an old one."""
    return "the broker counts no more executed than we do" if item.subject in seen.complete else None


def _order_shown(item: Break, seen: Evidence) -> str | None:
    """The broker shows the order, and so do we: what was denied is there, what had ended is alive."""
    order = seen.orders.get(OrderId(item.subject))
    if order is None or order.is_final or order.id not in seen.shown:
        return None
    return "both sides hold the order open"


def _order_ended(item: Break, seen: Evidence) -> str | None:
    """The broker denied an order that we held open, and has since told us its ending."""
    order = seen.orders.get(OrderId(item.subject))
    if item.theirs != NOT_FOUND or order is None or not order.is_final:
        return None
    return f"the order has ended: {order.status}"


def _order_gone(item: Break, seen: Evidence) -> str | None:
    """The broker held open what we held final, and its whole list has it no more."""
    if item.theirs == NOT_FOUND or not seen.listed_all or item.subject in seen.shown:
        return None
    return "the broker's list of open orders has it no more"


def _stream_heard(item: Break, seen: Evidence) -> str | None:
    return "the stream came up anew, and everything was read since" if seen.stream_heard else None


RULES: Final[tuple[Rule, ...]] = (
    Rule("sides-agree", frozenset({Nature.POSITION, Nature.CASH, Nature.UNLISTED_SYMBOL}), _sides_agree),
    Rule("executions-came", frozenset({Nature.EXECUTION_MISSING}), _executions_came),
    Rule("counts-agree", frozenset({Nature.EXECUTION_MISSING}), _counts_agree),
    Rule("order-shown", frozenset({Nature.ORDER_STATUS}), _order_shown),
    Rule("order-ended", frozenset({Nature.ORDER_STATUS}), _order_ended),
    Rule("order-gone", frozenset({Nature.ORDER_STATUS}), _order_gone),
    Rule("stream-heard", frozenset({Nature.STREAM}), _stream_heard),
)


class Healing(NamedTuple):
    rule: str
    evidence: str


def healed_by(item: Break, seen: Evidence) -> Healing | None:
    """The first rule that proves the break gone; None leaves it to later, or to a person."""
    for rule in RULES:
        if item.nature in rule.natures and (proof := rule.proof(item, seen)) is not None:
            return Healing(rule.name, proof)
    return None
