"""What has happened to an account besides its orders."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec

from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.orders.events import FailedControl


class AccountEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every account event. `at` is when this gateway decided or learned it (UTC)."""

    account: AccountId
    at: datetime


class AccountOpened(AccountEvent, frozen=True, kw_only=True, tag="account_opened"):
    """The first event of every account's stream. `broker_account` is its fingerprint there.

    Executions up to the broker's `cursor` are in the figures it was opened with. `foreign_cash` is what it
    had in other currencies, where the broker told them.
    """

    broker: str
    broker_account: str
    currency: str
    cash: Decimal
    cursor: str | None = None
    foreign_cash: dict[str, Decimal] = {}


class BreakOpened(AccountEvent, frozen=True, kw_only=True, tag="break_opened"):
    """Our books and the broker's differ. `ours` and `theirs` are the evidence, as text.

    `detail` is what else was seen, such as when a broker denied an order.
    """

    break_id: str
    nature: str
    severity: str
    subject: str
    ours: str
    theirs: str
    detail: str = ""


class BreakNoted(AccountEvent, frozen=True, kw_only=True, tag="break_noted"):
    """An open break was seen again, with other evidence."""

    break_id: str
    ours: str
    theirs: str
    detail: str = ""


class BreakAssigned(AccountEvent, frozen=True, kw_only=True, tag="break_assigned"):
    """`owner` looks after the break from now on."""

    break_id: str
    owner: str
    actor: str
    note: str = ""


class BreakHealed(AccountEvent, frozen=True, kw_only=True, tag="break_healed"):
    """A rule of the safe classes proved that the difference is gone; `evidence` is its proof."""

    break_id: str
    rule: str
    evidence: str


class BreakResolved(AccountEvent, frozen=True, kw_only=True, tag="break_resolved"):
    """`actor` settled the break by an action that its nature allows, and said why."""

    break_id: str
    action: str
    actor: str
    reason: str


class BreakCancelAsked(AccountEvent, frozen=True, kw_only=True, tag="break_cancel_asked"):
    """`actor` had the broker asked to cancel an order that has ended with us and works there."""

    break_id: str
    order_id: OrderId
    broker_order_id: str
    actor: str
    reason: str


class BreakCancelAnswered(AccountEvent, frozen=True, kw_only=True, tag="break_cancel_answered"):
    """What the broker answered to it. That the order is gone is proven by the broker's own list."""

    break_id: str
    answer: str


class BreakReopened(AccountEvent, frozen=True, kw_only=True, tag="break_reopened"):
    """A difference that was dismissed has become another one."""

    break_id: str
    ours: str
    theirs: str
    detail: str = ""


class PositionAdjusted(AccountEvent, frozen=True, kw_only=True, tag="position_adjusted"):
    """A position taken over from the broker: as the account was opened, or to settle a break."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    why: str


class SymbolRenamed(AccountEvent, frozen=True, kw_only=True, tag="symbol_renamed"):
    """What was traded as `was` is `symbol` from now on: one position, under one name."""

    was: Symbol
    symbol: Symbol


class CashAdjusted(AccountEvent, frozen=True, kw_only=True, tag="cash_adjusted"):
    """Cash taken over from the broker to settle a break; `amount` is signed, in the account's own currency

    where no other is named.
    """

    amount: Decimal
    why: str
    currency: str | None = None


class AccountSynced(AccountEvent, frozen=True, kw_only=True, tag="account_synced"):
    """Every execution up to the broker's `cursor` is in the books."""

    cursor: str


class AlarmRaised(AccountEvent, frozen=True, kw_only=True, tag="alarm_raised"):
    """Something that a person should know of now. `facts` are what there is to decide by.

    `alarm_id` is the same for the same thing, however often it is noticed.
    """

    alarm_id: str
    nature: str
    subject: str
    detail: str
    facts: dict[str, str] = {}


class AlarmCleared(AccountEvent, frozen=True, kw_only=True, tag="alarm_cleared"):
    alarm_id: str
    how: str


class HighWaterRaised(AccountEvent, frozen=True, kw_only=True, tag="high_water_raised"):
    """The highest profit of a trading day so far, rounded up: a restart does not forget it."""

    day: date
    profit: Decimal


class LossLimitReached(AccountEvent, frozen=True, kw_only=True, tag="loss_limit_reached"):
    """As much was lost as may be. Until then only orders that make a position smaller pass.

    `reason` is the loss limit's, `limit` what it was, and `lost` how far it was reached.
    """

    reason: str
    limit: Decimal
    lost: Decimal
    until: datetime


class OverrideUsed(AccountEvent, frozen=True, kw_only=True, tag="override_used"):
    """The order was let past these controls, by an override that is spent by it."""

    override_id: str
    order_id: OrderId
    lifted: tuple[FailedControl, ...]


class UseRefused(AccountEvent, frozen=True, kw_only=True, tag="use_refused"):
    """Something was asked for that is not for this key, this strategy or this person; risk was not asked.

    `code` is the refusal's. `owner` answers for a sender that has no token.
    """

    code: str
    detail: str
    actor: str
    client: str
    owner: str | None = None
    symbol: Symbol | None = None
    strategy: str | None = None


AnyAlarmEvent = AlarmRaised | AlarmCleared

AnyBreakEvent = (
    BreakOpened
    | BreakNoted
    | BreakAssigned
    | BreakCancelAsked
    | BreakCancelAnswered
    | BreakHealed
    | BreakResolved
    | BreakReopened
)

AnyAccountEvent = (
    AccountOpened
    | AccountSynced
    | AnyAlarmEvent
    | AnyBreakEvent
    | CashAdjusted
    | OverrideUsed
    | PositionAdjusted
    | SymbolRenamed
    | HighWaterRaised
    | LossLimitReached
    | UseRefused
)
