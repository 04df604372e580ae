"""The kill switch as folded from its events: what may still be sent, and who decided so.

The first version has one level, global. Cancels always pass.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

import msgspec


class Grade(StrEnum):
    """How hard the switch bites. Each grade includes the one before."""

    BLOCK_NEW = "block_new"
    CANCEL_ALL = "cancel_all"


class ControlEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every event of the control stream. `at` is in UTC."""

    at: datetime


class KillEngaged(ControlEvent, frozen=True, kw_only=True, tag="kill_engaged"):
    grade: Grade
    actor: str
    reason: str


class KillReleased(ControlEvent, frozen=True, kw_only=True, tag="kill_released"):
    actor: str
    reason: str


AnyControlEvent = KillEngaged | KillReleased


class TradingState(msgspec.Struct, frozen=True, gc=False):
    """`kill` is the engagement in force, or None when trading is allowed."""

    kill: KillEngaged | None = None

    @property
    def grade(self) -> Grade | None:
        return None if self.kill is None else self.kill.grade


def evolve(state: TradingState, event: AnyControlEvent) -> TradingState:
    match event:
        case KillEngaged():
            return TradingState(event)
        case KillReleased():
            return TradingState()
        case _:
            assert_never(event)
