"""What the gate answers. Bodies are the JSON of the public views, encoded once."""

from __future__ import annotations

import msgspec

from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import OrderId
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.risk.utilization import Use
from ordergate.engine.accounts.runs import RunView


class Answer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order after a command, durable. `body` is its `OrderView` as JSON.

    `failed` is not empty when risk denied the command: the denial is journalled, nothing was
    sent. `replayed` is True when an idempotency key was used again.
    """

    order_id: OrderId
    body: bytes
    replayed: bool = False
    failed: tuple[FailedControl, ...] = ()


class GroupAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A group of orders after a command, durable. `body` is its `GroupView` as JSON."""

    group_id: GroupId
    body: bytes
    replayed: bool = False
    failed: tuple[FailedControl, ...] = ()


class CancelResult(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order of a cancel-all. `code` is `cancel-requested` or a refusal's code."""

    order_id: OrderId
    code: str


class CancelAllAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    results: tuple[CancelResult, ...]
    replayed: bool = False


class ControlResult(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How one control judged a previewed order: `passed`, and its numbers as decimal strings.

    One in `shadow` refuses nothing, whatever it says.
    """

    control: str
    passed: bool
    reason: str | None = None
    detail: str | None = None
    limit: str | None = None
    value: str | None = None
    headroom: str | None = None
    inputs: dict[str, str] = {}
    severity: Severity = Severity.HARD
    shadow: bool = False


class RefusalView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A no that is none of risk's, in the code and the words in which `place` would say it."""

    code: str
    detail: str


class Preview(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`limits` are the account's and the symbol's, each with its use and the rule it comes from.

    `refusals` are why the order would not even come before risk.
    """

    would_be_accepted: bool
    controls: tuple[ControlResult, ...]
    limits: tuple[Use, ...] = ()
    refusals: tuple[RefusalView, ...] = ()


class LeftOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order that still works although its cancel has been asked for, so often."""

    order_id: str
    account_id: str
    status: str
    cancels_asked: int
    unknown: bool


class StopView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One stop in force. `trip` says what engaged it where no person did, `lift` how it ends."""

    level: str
    target: str | None
    grade: str
    reason: str
    actor: str
    since: str
    trip: str | None
    lift: str | None
    flatten_asked_by: str | None
    durable: bool
    orders_left: int
    failing: tuple[LeftOrder, ...]


class KillView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The kill switch as it stands. Times are RFC 3339 in UTC.

    All but `stops` and `deaf` is of the widest stop. `deaf` says why this node cannot tell what is
    stopped; everything new is, then.
    """

    engaged: bool
    level: str
    target: str | None = None
    grade: str | None = None
    reason: str | None = None
    actor: str | None = None
    since: str | None = None
    deaf: str | None = None
    stops: tuple[StopView, ...] = ()


class DeadManView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One session's dead man's switch: `armed`, `expired` while orders are being canceled, or `disarmed`.

    `refresh_s` is how often a client does well to refresh it.
    """

    session: str
    state: str
    timeout_s: int
    refresh_s: int
    gtc: str
    expires_in_s: float
    orders_left: int


class BreakAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A break after a person settled or assigned it, durable. `body` is its `BreakView` as JSON."""

    body: bytes
    replayed: bool = False


class RunAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A reconciliation was asked for; it comes `after` this run. `run` is it, where it was waited for."""

    account_id: str
    after: str | None
    run: RunView | None = None
