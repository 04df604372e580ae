"""The shapes of limits, changes that wait, and overrides, for the OpenAPI document and for queries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from ordergate.api.limit_requests import DRY_RUN_MAX, RULES_AT_ONCE_MAX
from ordergate.api.schemas import (
    AccountId,
    Asked,
    FailedControl,
    Figure,
    LimitUse,
    OrderId,
    OrderRequest,
    Reason,
)
from ordergate.core.approvals import State
from ordergate.core.orders.events import Severity
from ordergate.core.orders.terms import Side
from ordergate.core.risk.rules import ID, Mode, Reach

RuleId = Annotated[str, Field(pattern=f"^{ID}$", examples=["desk-rates"])]
ChangeId = Annotated[str, Field(max_length=40, examples=["chg-019b8f0a3c41-5d1e09ab"])]
Of = Annotated[str, Field(max_length=128)]
Owner = Annotated[str, Field(min_length=1, max_length=128)]
Limits = Annotated[
    dict[str, Any],
    Field(description="Limits by name, as in a settings file.", examples=[{"max_open_orders": 100}]),
]


class RuleRequest(Asked):
    """A rule as it shall be, whole."""

    scope: Reach
    of: Of = ""
    limits: Limits
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.HARD
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None
    owner: Owner
    reason: Reason


class ListedRule(Asked):
    """One rule of a file."""

    id: RuleId
    scope: Reach
    of: Of = ""
    limits: Limits
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.HARD
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None
    owner: Owner


class ApplyRequest(Asked):
    """`prune` removes the rules that are not listed, `preview` only says what would follow."""

    rules: Annotated[list[ListedRule], Field(max_length=RULES_AT_ONCE_MAX)]
    reason: Reason
    prune: bool = False
    preview: bool = False


class DryRunRequest(Asked):
    """`shadows`: as if the rules in shadow were enforced."""

    account_id: AccountId
    rules: Annotated[list[ListedRule], Field(default=[], max_length=RULES_AT_ONCE_MAX)]
    prune: bool = False
    orders: Annotated[int, Field(ge=1, le=DRY_RUN_MAX)] = 100
    shadows: bool = False


class OverrideRequest(Asked):
    """Let this one order pass these controls, once; it lives `lives_s` from the second person's yes."""

    order: OrderRequest
    controls: Annotated[
        list[Annotated[str, Field(pattern="^R[0-9]{2}$", examples=["R06"])]],
        Field(min_length=1, max_length=30),
    ]
    lives_s: Annotated[int, Field(ge=1, le=900)] = 900
    reason: Reason


class WhyRequest(Asked):
    reason: Reason


class Rule(BaseModel):
    """A rule as it stands. `approved_by` is null where one person was enough."""

    id: RuleId
    scope: Reach
    of: str
    limits: dict[str, Any]
    mode: Mode
    severity: Severity
    effective_from: AwareDatetime | None
    effective_to: AwareDatetime | None
    owner: str
    version: int
    made_by: str
    approved_by: str | None
    changed_at: AwareDatetime | None
    reason: str


class Change(BaseModel):
    """Something that one person wants and another decides. `summary` says what it would allow."""

    id: ChangeId
    subject: str
    state: State
    summary: list[str]
    content: dict[str, Any]
    proposed_by: str
    proposed_at: AwareDatetime
    reason: str
    expires_at: AwareDatetime
    settled_by: str | None
    settled_at: AwareDatetime | None
    settled_why: str | None


class Edit(BaseModel):
    """`rules` are in force and `removed` are gone; `change` waits for another person, or is null."""

    rules: list[Rule]
    removed: list[str]
    change: Change | None


class Plan(BaseModel):
    """What an edit would come to: the rules made at once, those that would wait, and what these loosen."""

    at_once: list[str]
    waiting: list[str]
    loosens: list[str]


class Difference(BaseModel):
    """One order on which the rules differ. `recorded` is what it got; `newly` are the controls that would

    refuse it and do not now, `no_longer` those that do now and would not. `not_judged` are those of which
    the journal does not say.
    """

    order_id: OrderId
    at: AwareDatetime
    symbol: str
    side: Side
    quantity: Figure
    recorded: Literal["accepted", "denied"]
    newly: list[FailedControl]
    no_longer: list[str]
    not_judged: list[str]


class NotJudged(BaseModel):
    """A control, and for how many of the orders the journal lacks what it asks for."""

    control: str
    orders: int


class DryRun(BaseModel):
    """`would_refuse` counts accepted orders, `would_accept` denied ones. The latest differences are shown.

    `unlisted` of the orders are in what is not listed any more: no control judged them. What is
    `not_judged` counts as no refusal.
    """

    account_id: AccountId
    orders: int
    would_refuse: int
    would_accept: int
    unlisted: int
    not_judged: list[NotJudged]
    differences: list[Difference]


class LimitsInForce(BaseModel):
    """`limits` has one object for each account that has any, with its `config_hash`; without limits nothing

    is accepted. `rules` are what they are compiled from.
    """

    limits: list[dict[str, Any]]
    rules: list[Rule]


class Changes(BaseModel):
    changes: list[Change]


class AccountUse(BaseModel):
    """`why_none` says why the account has no limits, and so takes no orders; `at` is since when it is so."""

    account_id: AccountId
    config_hash: str
    at: AwareDatetime
    why_none: str | None
    limits: list[LimitUse]


class Utilization(BaseModel):
    accounts: list[AccountUse]


class LimitsQuery(Asked):
    account_id: AccountId | None = None


class ChangesQuery(Asked):
    """Newest first."""

    state: Literal["pending", "all"] = "pending"
