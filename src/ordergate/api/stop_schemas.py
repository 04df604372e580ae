"""The shapes of what stops trading, the kill switch and dead men, for the OpenAPI document.

Never decodes a body and stops nothing itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ordergate.api.schemas import Asked, Label, OrderId, Reason

KillLevel = Literal[
    "order", "strategy", "user", "account", "instrument", "broker", "tenant", "environment", "global"
]
KillTarget = Annotated[str, Field(min_length=1, max_length=128)]


class EngageRequest(Asked):
    """What to stop, and how hard. All levels but `global` have a `target`."""

    grade: Literal["reduce_only", "block_new", "cancel_all"] = "block_new"
    reason: Reason
    level: KillLevel = "global"
    target: KillTarget | None = None


class ReleaseRequest(Asked):
    """Which stop, and why."""

    reason: Reason
    level: KillLevel = "global"
    target: KillTarget | None = None


class DeadManRequest(Asked):
    """What becomes of GTC orders has to be said. The same again refreshes it."""

    gtc: Literal["cancel", "keep"]
    timeout_s: Annotated[int, Field(ge=5, le=3_600)] = 60
    session: Label = "default"


class DeadMan(BaseModel):
    """`state` is `armed`, `expired` while orders are being canceled, or `disarmed`.

    `refresh_s` is how often a client does well to refresh it.
    """

    session: str
    state: str
    timeout_s: int
    refresh_s: int
    gtc: str
    expires_in_s: float
    orders_left: int


class DeadMen(BaseModel):
    sessions: list[DeadMan]


class LeftOrder(BaseModel):
    """An order that still works although its cancel has been asked for, so often."""

    order_id: OrderId
    account_id: str
    status: str
    cancels_asked: int
    unknown: bool


class StopView(BaseModel):
    """One stop in force. `trip` says what engaged it where no person did, `lift` how it ends.

    `orders_left` are those that it cancels and that still work; `failing` names them once that lasts.
    """

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
    failing: list[LeftOrder]


class KillSwitch(BaseModel):
    """All but `stops` and `deaf` is of the widest stop. `deaf` says why this node cannot tell what is

    stopped; everything new is, then.
    """

    engaged: bool
    level: str
    target: str | None
    grade: str | None
    reason: str | None
    actor: str | None
    since: str | None
    deaf: str | None
    stops: list[StopView]
