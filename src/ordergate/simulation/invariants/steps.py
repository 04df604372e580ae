"""I7: what may follow what in the life of an order, written down apart from the engine's own table.

The engine moves an order by the status it has. This table knows no status: of each kind of event it says
whether it may come while the order is kept, while it is open and after which ends, and what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ordergate.core.orders import events as e
from ordergate.journal.tails import Linked
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight

DENIED: Final = "OrderDenied"
REJECTED: Final = "OrderRejected"
FILLED: Final = ("OrderFilled", "OrderCompleted")
LAST: Final = ("OrderCanceled", "OrderExpired", DENIED)
# The ends after which a broker may still have something to say.
_SENT: Final = (REJECTED, *FILLED, "OrderCanceled", "OrderExpired")


class Life(msgspec.Struct):
    """What has been written of an order: `shown` is whether news of it came from the broker."""

    begun: bool = False
    kept: bool = False
    end: str = ""
    shown: bool = False
    doubted: bool = False
    cancels: bool = False
    cancel_waits: bool = False
    versions: set[int] = set()
    version_waits: int | None = None

    def say(self, event: e.OrderEvent) -> str | None:
        """What is wrong with the event now, or None; either way it has happened."""
        wrong = self._judged(event)
        self._heard(event)
        return wrong

    def _judged(self, event: e.OrderEvent) -> str | None:
        name = type(event).__name__
        if isinstance(event, e.OrderAccepted | e.OrderHeld | e.OrderDenied | e.OrderAdopted):
            released = self.kept and not self.end and isinstance(event, e.OrderAccepted | e.OrderDenied)
            return f"{name} begins what has begun" if self.begun and not released else None
        rule = RULES.get(name)
        if rule is None:
            return f"{name} is of no known kind"
        if not self.begun:
            return f"{name} before its beginning"
        if self.end and self.end not in rule.after:
            return f"{name} after {self.end}"
        if self.kept and not self.end and not rule.kept:
            return f"{name} while it is kept"
        if not self.kept and not self.end and not rule.open:
            return f"{name} while it is open"
        return None if rule.needs(self, event) else f"{name} without {rule.lacks}"

    def _heard(self, event: e.OrderEvent) -> None:
        name = type(event).__name__
        match event:
            case e.OrderAccepted() | e.OrderHeld() | e.OrderDenied() | e.OrderAdopted():
                self.begun, self.kept = True, isinstance(event, e.OrderHeld)
                self.shown = isinstance(event, e.OrderAdopted)
            case e.OutcomeUnknown():
                self.doubted = True
            case e.CancelRequested():
                self.cancels = self.cancel_waits = True
            case e.CancelRejected():
                self.cancel_waits = False
            case e.ReplaceRequested(version=version):
                self.versions.add(version)
                self.version_waits = version
            case e.OrderReplaced() | e.ReplaceRejected():
                self.version_waits = None
            case _:
                pass
        self.shown = self.shown or name in _SHOWS
        if name in (*_SENT, DENIED):
            self.version_waits, self.cancel_waits = None, False
            self.end = self.end if self.end in LAST else name
        elif name in _REVIVES.get(self.end, ()):
            self.end = ""


def _always(_: Life, __: e.OrderEvent) -> bool:
    return True


def _of_asked_version(life: Life, event: e.OrderEvent) -> bool:
    return isinstance(event, e.OrderReplaced | e.ReplaceRejected) and event.version in life.versions


def _of_new_version(life: Life, event: e.OrderEvent) -> bool:
    newer = isinstance(event, e.ReplaceRequested) and event.version > max(life.versions, default=1)
    return newer and life.version_waits is None and not life.cancel_waits and life.shown


def _has_something_to_say(life: Life, _: e.OrderEvent) -> bool:
    return not life.shown or life.cancel_waits or life.version_waits is not None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When an event of a kind may come; `lacks` is said where what it `needs` is not so."""

    kept: bool = False
    open: bool = True
    after: tuple[str, ...] = ()
    needs: Callable[[Life, e.OrderEvent], bool] = _always
    lacks: str = ""


RULES: Final[Mapping[str, Rule]] = {
    "HeldReplaced": Rule(kept=True, open=False),
    "DispatchStarted": Rule(needs=_has_something_to_say, lacks="anything to say to the broker"),
    "OrderSent": Rule(after=_SENT),
    "OrderAcknowledged": Rule(after=(REJECTED,)),
    "OutcomeUnknown": Rule(after=_SENT),
    "OrderQuarantined": Rule(needs=lambda life, _: life.doubted, lacks="a doubt"),
    "OrderResolved": Rule(needs=lambda life, _: life.doubted, lacks="a doubt"),
    "OrderRejected": Rule(),
    "OrderPartiallyFilled": Rule(after=_SENT),
    "OrderFilled": Rule(after=_SENT),
    "ExecutionBusted": Rule(after=_SENT),
    "ExecutionCorrected": Rule(after=_SENT, needs=lambda life, _: life.shown, lacks="any news of it"),
    "ExecutionDuplicated": Rule(after=_SENT, needs=lambda life, _: life.shown, lacks="any news of it"),
    "OrderCompleted": Rule(),
    "OrderReopened": Rule(open=False, after=(REJECTED, *FILLED)),
    "CancelRequested": Rule(kept=True, needs=lambda life, _: not life.cancel_waits, lacks="an answer before"),
    "CancelRejected": Rule(after=_SENT, needs=lambda life, _: life.cancels, lacks="a request"),
    "OrderCanceled": Rule(kept=True),
    "OrderExpired": Rule(kept=True),
    "ReplaceRequested": Rule(needs=_of_new_version, lacks="an order to replace"),
    "ReplaceDenied": Rule(kept=True),
    "OrderReplaced": Rule(after=FILLED, needs=_of_asked_version, lacks="a request of that version"),
    "ReplaceRejected": Rule(after=_SENT, needs=_of_asked_version, lacks="a request of that version"),
}

_SHOWS: Final = (
    "OrderAcknowledged",
    "OrderPartiallyFilled",
    "OrderFilled",
    "ExecutionBusted",
    "OrderReplaced",
    "OrderReopened",
)
_REVIVES: Final[Mapping[str, tuple[str, ...]]] = {
    REJECTED: ("OrderAcknowledged", "OrderPartiallyFilled", "OrderReopened"),
    **dict.fromkeys(FILLED, ("OrderReplaced", "OrderReopened")),
}


class LegalSteps(SightedChecker):
    """I7: every event of an order is one that may come then."""

    id = "I7"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._lives: dict[str, Life] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            if not isinstance(entry.event, e.OrderEvent):
                continue
            life = self._lives.setdefault(entry.event.order_id, Life())
            if (wrong := life.say(entry.event)) is not None:
                self.violated(f"{entry.event.order_id}: {wrong}")
