"""What a person asks about a break."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.accounts.breaks import Action
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import OrderSnapshot

TEXT_MAX = 500
"""So long may a reason, a note or an owner be, in characters."""


class AssignBreak(msgspec.Struct, frozen=True, kw_only=True):
    break_id: str
    owner: str
    note: str
    actor: str
    asked_at: datetime


class ResolveBreak(msgspec.Struct, frozen=True, kw_only=True):
    break_id: str
    action: Action
    reason: str
    actor: str
    asked_at: datetime


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker and our books say at this moment about what the break is about.

    `theirs` and `price` are of its symbol or cash; `fingerprint` is the account that the session is
    logged in to; `shown` is the order as the broker has it. What was not asked is None, and nothing is
    decided on it.
    """

    theirs: Decimal | None = None
    price: Decimal | None = None
    fingerprint: str | None = None
    order: Order | None = None
    broker_denies: bool = False
    shown: OrderSnapshot | None = None
