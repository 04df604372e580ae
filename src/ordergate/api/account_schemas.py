"""The shapes of accounts, their breaks and their reconciliations, for the OpenAPI document and queries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from ordergate.api.cursors import CURSOR_LENGTH_MAX
from ordergate.api.requests import BREAK_ID
from ordergate.api.schemas import PAGE_MAX, AccountId, Asked, Balance, Figure, Label, Position, Reason
from ordergate.core.accounts.breaks import Action, Nature, Severity, State
from ordergate.engine.accounts.runs import RunResult

BreakId = Annotated[str, Field(pattern=f"^{BREAK_ID}$", examples=["brk-019b8f0a3c41-5d1e09ab"])]


class AssignRequest(Asked):
    """Who looks after a break from now on."""

    owner: Label
    note: Annotated[str, Field(max_length=500)] = ""


class ResolveRequest(Asked):
    """Settle a break by one of its allowed actions."""

    action: Action
    reason: Reason


class RunRequest(Asked):
    """Ask for a reconciliation of an account now."""

    account_id: AccountId


class BreakStep(BaseModel):
    """One line of a break's history."""

    at: AwareDatetime
    what: str
    actor: str
    note: str


class Break(BaseModel):
    """`rule` healed it, or `action` resolved it, with a `reason`; all three are null while it is open."""

    id: BreakId
    account_id: AccountId
    nature: Nature
    severity: Severity
    state: State
    subject: str
    ours: str
    theirs: str
    detail: str
    owner: str | None
    allowed_actions: list[Action]
    rule: str | None
    action: Action | None
    reason: str | None
    opened_at: AwareDatetime
    updated_at: AwareDatetime
    settled_at: AwareDatetime | None
    history: list[BreakStep]


class AgedBreak(Break):
    """`age_s` is how long it has been open, or was."""

    age_s: int


class Breaks(BaseModel):
    breaks: list[AgedBreak]
    next: str | None


class RunDifference(BaseModel):
    """`sure` is false where it could still be news under way."""

    nature: Nature
    subject: str
    ours: str
    theirs: str
    detail: str
    sure: bool


class Run(BaseModel):
    """One reconciliation. Counts are of things looked at, and of breaks that followed."""

    id: str
    account_id: AccountId
    why: list[str]
    started_at: AwareDatetime
    took_ms: int
    result: RunResult
    trouble: str | None
    executions_read: int
    orders_listed: int
    orders_ours: int
    orders_asked: int
    positions_compared: bool
    cash_compared: bool
    breaks_opened: int
    breaks_healed: int
    breaks_noted: int
    differences_found: int
    differences: list[RunDifference]


class Runs(BaseModel):
    runs: list[Run]
    next: str | None


class RunAsked(BaseModel):
    """The run asked for comes `after` this one; `run` is it, where it was waited for."""

    account_id: AccountId
    after: str | None
    run: Run | None


class Held(Position):
    """A position that is open, and what it is worth now.

    `mark` is the middle of the last quote, or the last trade when that is newer, and `mark_at` its time.
    `unrealised_pnl` is in the instrument's currency, the multiplier included.
    """

    mark: Figure | None
    mark_at: AwareDatetime | None
    unrealised_pnl: Figure | None


class Appraisal(BaseModel):
    """`currency` is the account's own, in which all but the positions is.

    `equity` is all cash and what everything held adds to it. `buying_power` is what the broker said last, and
    `buying_power_at` when. What is not known is null.
    """

    as_of: AwareDatetime
    currency: str | None
    equity: Figure | None
    buying_power: Figure | None
    buying_power_at: AwareDatetime | None
    positions: list[Held]


class Account(Appraisal):
    """`seq` and `stream_id` are where the account's event stream stood at this moment.

    `breaks` are the newest open ones. `breaks_next` is null where these are all; else it is the `cursor` by
    which `GET /v1/reconciliation/breaks` goes on with the others, asked with `account_id` and `open=true`.
    From `as_of` on it is what that is worth at the last prices. What is not known is null.
    """

    id: AccountId
    env: Literal["paper", "live"]
    stream_id: str
    seq: int
    open_orders: int
    balances: list[Balance]
    breaks: list[AgedBreak]
    breaks_next: str | None


class BreaksQuery(Asked):
    """Newest first. `open` is open or assigned, or neither."""

    account_id: AccountId | None = None
    state: State | None = None
    severity: Severity | None = None
    open: bool | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None

    def listing(self) -> str:
        """What a cursor is bound to."""
        return "breaks?" + self.model_dump_json(exclude={"limit", "cursor"})


class RunsQuery(Asked):
    """Newest first."""

    account_id: AccountId | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None
