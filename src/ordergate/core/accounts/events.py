"""What has happened to an account besides its orders."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.ids import AccountId, Symbol


class AccountEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every account event. `at` is when this gateway decided or learned it (UTC)."""

    account: AccountId
    at: datetime


class AccountOpened(AccountEvent, frozen=True, kw_only=True, tag="account_opened"):
    """The first event of every account's stream. `broker_account` is its fingerprint there.

    Executions up to the broker's `cursor` are in the figures it was opened with.
    """

    broker: str
    broker_account: str
    currency: str
    cash: Decimal
    cursor: str | None = None


class BreakOpened(AccountEvent, frozen=True, kw_only=True, tag="break_opened"):
    """Our books and the broker's differ. `ours` and `theirs` are the evidence, as text."""

    break_id: str
    nature: str
    subject: str
    ours: str
    theirs: str


class BreakResolved(AccountEvent, frozen=True, kw_only=True, tag="break_resolved"):
    break_id: str
    how: str


class PositionAdjusted(AccountEvent, frozen=True, kw_only=True, tag="position_adjusted"):
    """A position taken over from the broker as it stood when the account was opened."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    why: str


class AccountSynced(AccountEvent, frozen=True, kw_only=True, tag="account_synced"):
    """Every execution up to the broker's `cursor` is in the books."""

    cursor: str


AnyAccountEvent = AccountOpened | AccountSynced | BreakOpened | BreakResolved | PositionAdjusted
