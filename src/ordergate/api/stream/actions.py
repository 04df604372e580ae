"""What a session asks of whoever drives it, and within which bounds it lives. Values only."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ordergate.api.quotas import Rate
from ordergate.api.requests import Changes
from ordergate.api.stream.channels import Channel
from ordergate.api.stream.frames import AnyDeadManFrame, Resume
from ordergate.core.contingent.terms import GroupId, GroupTerms
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code


class Action(msgspec.Struct, frozen=True, gc=False):
    """Something for whoever drives the session to do."""


class Send(Action, frozen=True):
    """`refused` is the code that the frame tells, for the one who counts."""

    payload: bytes
    refused: Code | None = None


class Close(Action, frozen=True):
    code: int
    reason: str


class Login(Action, frozen=True, kw_only=True):
    """Find out who is behind the token or the ticket; tell `logged_in` before the next frame."""

    token: str | None
    dpop: str | None
    ticket: str | None
    frame_id: str | None


class Join(Action, frozen=True, kw_only=True):
    """Follow an account; an earlier subscription to it ends."""

    account: AccountId
    channels: tuple[Channel, ...]
    resume: Resume | None
    frame_id: str | None


class Leave(Action, frozen=True):
    account: AccountId


class Watch(Action, frozen=True):
    channel: str
    symbols: tuple[str, ...]


class Unwatch(Action, frozen=True):
    channel: str
    symbols: tuple[str, ...]


class CancelAsked(msgspec.Struct, frozen=True, gc=False):
    order_id: OrderId
    if_revision: int | None = None


class ReplaceAsked(msgspec.Struct, frozen=True, gc=False):
    order_id: OrderId
    changes: Changes
    if_revision: int | None = None


class CancelGroupAsked(msgspec.Struct, frozen=True, gc=False):
    group_id: GroupId


Asked = Terms | CancelAsked | ReplaceAsked | GroupTerms | CancelGroupAsked


class Command(Action, frozen=True, kw_only=True):
    """Ask the gate, in the background; tell `answered` when it is done. `asked` says what."""

    frame_id: str
    key: str
    correlation: str
    wait_s: int
    asked: Asked


class DeadManAsked(Action, frozen=True, kw_only=True):
    """Ask the dead man's switch, in the background; tell `answered` when it is done."""

    frame: AnyDeadManFrame
    correlation: str


class FollowCopy(Action, frozen=True, kw_only=True):
    """Follow the drop copy after this number, or from now on; an earlier subscription to it ends."""

    after: int | None
    frame_id: str | None


class LeaveCopy(Action, frozen=True):
    """Follow it no longer."""


Actions = Sequence[Action]


class Limits(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The bounds of one session."""

    messages: Rate
    commands_in_flight_max: int
    subscriptions_max: int
    symbols_max: int
    login_s: float
    heartbeat_s: float
