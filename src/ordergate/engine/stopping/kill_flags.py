"""Watches the ways to stop that do not lead through the API, and folds what was raised into the journal.

A flag is in force as soon as it is seen, whatever else is down; it is taken down once its stop is durable,
and from then on the stop is one like any other. It can only stop: nothing is released this way. What a
person stopped here is told to the gateways that stop together with this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.risk.trading_state import Grade, Kill, KillEngaged, Level, Place
from ordergate.engine.stopping.kill_desk import KillDesk
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.ports.clock import Clock
from ordergate.ports.kill_flags import Flag, KillFlags, SharedFlags
from ordergate.telemetry.log import logger

log = logger("kill_flags")

SEEN_MAX: Final = 10_000
ALONE: Final = frozenset({Level.ORDER, Level.ACCOUNT})
"""Of one gateway alone: nobody else has the order, or the account."""

_Name = tuple[str, datetime]


class _Seen:
    """A flag that is in force here. It may be up in several ways, and is one flag in all of them."""

    __slots__ = ("lowered", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.lowered: set[str] = set()
        """Ways in which it was taken down: what is up there again was raised again."""


class FlagWatch:
    """One for all ways. `look` is called before anything is served, and again and again after that."""

    def __init__(self, kill_switch: KillSwitch, kill_desk: KillDesk, clock: Clock) -> None:
        self._kill_switch = kill_switch
        self._kill_desk = kill_desk
        self._clock = clock
        self._seen: dict[_Name, _Seen] = {}

    async def keep(self, flags: KillFlags) -> None:
        """Nothing new before the first look."""
        while True:
            await self.look(flags)
            await self._clock.sleep(flags.poll_s)

    async def look(self, flags: KillFlags) -> None:
        """Once. Raises Fault when nothing can be seen."""
        asked_at = self._clock.monotonic()
        await self._take(flags, asked_at, None)

    async def keep_shared(self, shared: SharedFlags) -> None:
        """As `keep`; and nothing new while it cannot be heard, for which it is asked again and again."""
        while True:
            try:
                await self.look_shared(shared)
            except Fault as fault:
                log.warning("kill_flags.unheard", way=shared.name, why=str(fault))
            await self._clock.sleep(shared.poll_s)

    async def look_shared(self, shared: SharedFlags) -> None:
        """Once: tell and hear. Raises Fault."""
        asked_at = self._clock.monotonic()
        if self._kill_switch.is_known:
            ours = concerning_others(self._kill_switch.state.kills.values())
            await shared.tell(ours)
            for flag in ours:
                self._remember(flag)
        await self._take(shared, asked_at, lambda flag: flag.at)

    async def _take(self, flags: KillFlags, asked_at: float, at: Callable[[Flag], datetime] | None) -> None:
        raised = await flags.raised()
        for flag in raised:
            seen = self._seen.get(_name(flag))
            if seen is None or flags.name in seen.lowered:
                self._engage(flags, flag, self._clock.now() if at is None else at(flag))
        self._kill_switch.looked(flags.name, asked_at)
        lowered = await self._lower(flags, raised)
        if at is None:
            for seen in lowered:
                seen.lowered.add(flags.name)

    def _engage(self, flags: KillFlags, flag: Flag, at: datetime) -> None:
        event = KillEngaged(
            at=at,
            level=flag.level,
            target=flag.target,
            grade=_at_most_cancels(flag.grade),
            actor=flag.actor,
            reason=flag.reason,
        )
        self._remember(flag)
        log.warning("kill_flag.seen", way=flags.name, flag=flag.id)
        self._kill_switch.hold(event)
        self._kill_desk.look()

    def _remember(self, flag: Flag) -> None:
        """It is in force here."""
        name = _name(flag)
        if name not in self._seen and len(self._seen) >= SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[name] = _Seen((flag.level, flag.target))

    async def _lower(self, flags: KillFlags, raised: Sequence[Flag]) -> list[_Seen]:
        """Those that were taken down."""
        unwritten, lowered = self._kill_switch.unwritten, list[_Seen]()
        for flag in raised:
            seen = self._seen.get(_name(flag))
            if seen is None or seen.place in unwritten or not self._kill_switch.is_known:
                continue
            try:
                await flags.lower(flag)
                lowered.append(seen)
            except Fault as fault:
                log.error("kill_flag.stays", way=flags.name, flag=flag.id, why=str(fault))
        return lowered


def _name(flag: Flag) -> _Name:
    return flag.id, flag.at


def concerning_others(kills: Iterable[Kill]) -> list[Flag]:
    """What persons stopped, as flags whose ids follow from what they say.

    So what was heard from another gateway is told under the id that it already has, and goes round no more.
    """
    return [_flag(one) for one in kills if one.trip is None and one.level not in ALONE]


def _flag(kill: Kill) -> Flag:
    grade = _at_most_cancels(kill.grade)
    said = [kill.level, kill.target, grade, kill.actor, kill.reason, kill.again_at]
    return Flag(
        id=hashlib.sha256(msgspec.json.encode(said)).hexdigest(),
        level=kill.level,
        target=kill.target,
        grade=grade,
        actor=kill.actor,
        reason=kill.reason,
        at=kill.again_at,
    )


def _at_most_cancels(grade: Grade) -> Grade:
    """Closing what is held takes two persons, each time."""
    return Grade.CANCEL_ALL if grade is Grade.FLATTEN else grade
