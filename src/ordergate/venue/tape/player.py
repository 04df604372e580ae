"""Plays a tape: in real time, n times as fast, as fast as possible, or step by step.

Everything up to the tape's opening happens at once; from there packets come when they are due. At the end
the recorded orders are taken out and the tape begins again, while participants' orders stay. A turn of the
event loop plays a bounded number of packets, so a server that shares the loop keeps answering.
Never decides what a packet does.
"""

import asyncio
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from ordergate.venue.tape.records import Packet, Tape

TURN_PACKETS_MAX: Final = 200
STEPS_MAX: Final = 100_000
SPEED_MAX: Final = 1_000_000.0
NS_PER_S: Final = 1_000_000_000
NAP_NS_MAX: Final = 3_600 * NS_PER_S


class Stage(Protocol):
    """Where a tape is played: the exchange."""

    def play(self, symbol: str, packet: Packet, now: datetime) -> None:
        """Let one packet happen."""

    def clear_tape(self, symbol: str, now: datetime) -> None:
        """Take the tape's orders out."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, with its zone."""

    def monotonic_ns(self) -> int:
        """A count that only grows, for measuring how much time has passed."""

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Return when the event is set or this much time has passed, whichever comes first."""


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return


class PlayerState(Struct, frozen=True, kw_only=True):
    """How a tape stands. `played` counts packets since the tape last began, `rounds` how often it ended."""

    symbol: str
    paused: bool
    speed: float
    at_ns: int
    played: int
    rounds: int
    ended: bool


class Player:
    """One tape. `speed` 1 is real time and 0 as fast as possible.

    `offset_s` moves where playing begins, counted from the tape's opening (its first packet, where it
    has none); everything before happens at once.
    """

    def __init__(
        self,
        stage: Stage,
        tape: Tape,
        *,
        clock: Clock | None = None,
        speed: float = 1.0,
        offset_s: float = 0.0,
        loop: bool = True,
        paused: bool = False,
    ) -> None:
        self.symbol = tape.listing.symbol
        self._stage = stage
        self._tape = tape
        self._clock: Clock = WallClock() if clock is None else clock
        self._speed = _checked(speed)
        self._offset_ns = int(offset_s * NS_PER_S)
        self._loop = loop
        self._paused = paused
        self._changed = asyncio.Event()
        self._packets: Iterator[Packet] = iter(())
        self._next: Packet | None = None
        self._at_ns = 0
        self._began = False
        self._played = 0
        self._rounds = 0
        # At this moment of our clock the tape stood, or would have stood, at this moment of its own.
        self._anchor_ns = (0, 0)

    # -- controls

    def state(self) -> PlayerState:
        return PlayerState(
            symbol=self.symbol,
            paused=self._paused,
            speed=self._speed,
            at_ns=self._at_ns,
            played=self._played,
            rounds=self._rounds,
            ended=self._ended,
        )

    def pause(self) -> None:
        self._paused = True
        self._changed.set()

    def resume(self) -> None:
        self._paused = False
        self._rebase()

    def set_speed(self, speed: float) -> None:
        self._speed = _checked(speed)
        self._rebase()

    def begin(self) -> None:
        """Play everything up to the beginning at once. Does nothing when the tape has begun."""
        if self._began:
            return
        self._began = True
        self._played = 0
        self._packets = iter(self._tape.packets())
        self._next = next(self._packets, None)
        if self._next is None:
            return
        opening = self._tape.opens_at_ns
        start_ns = (self._next.at_ns if opening is None else opening) + self._offset_ns
        while self._next is not None and self._next.at_ns <= start_ns:
            self._play_next()
        self._at_ns = start_ns
        self._rebase()

    def step(self, packets: int = 1) -> int:
        """Play this many packets now, whatever their time, and return how many there were to play."""
        if not 0 <= packets <= STEPS_MAX:
            raise ValueError(f"steps must be from 0 to {STEPS_MAX}, was {packets}")
        self.begin()
        done = 0
        while done < packets and self._next is not None:
            self._play_next()
            done += 1
        self._rebase()
        return done

    # -- playing

    async def run(self) -> None:
        """Play until cancelled, or to the end of a tape that does not loop or holds nothing."""
        self.begin()
        while not self._ended:
            # Cleared before looking, so that a change made while we look is not slept through.
            self._changed.clear()
            if self._next is None:
                self._again()
            played = self._turn()
            if played == TURN_PACKETS_MAX:
                await asyncio.sleep(0)
            elif not self._ended:
                await self._clock.wait(self._changed, self._nap_s())

    @property
    def _ended(self) -> bool:
        return self._began and self._next is None and not (self._loop and self._played)

    def _turn(self) -> int:
        """Play what is due, up to the bound."""
        played = 0
        while played < TURN_PACKETS_MAX and self._next is not None and self._due_in_ns() <= 0:
            self._play_next()
            played += 1
        return played

    def _again(self) -> None:
        self._stage.clear_tape(self.symbol, self._clock.now())
        self._rounds += 1
        self._began = False
        self.begin()

    def _play_next(self) -> None:
        packet = self._next
        if packet is None:
            return
        self._stage.play(self.symbol, packet, self._clock.now())
        self._at_ns = packet.at_ns
        self._played += 1
        self._next = next(self._packets, None)

    def _due_in_ns(self) -> int:
        """How long the next packet has to wait; a paused tape's packets are never due."""
        if self._paused or self._next is None:
            return NAP_NS_MAX
        if not self._speed:
            return 0
        ours_ns, tape_ns = self._anchor_ns
        # Rounded up: a nap of less than the clock can count would never end.
        return ours_ns + math.ceil((self._next.at_ns - tape_ns) / self._speed) - self._clock.monotonic_ns()

    def _nap_s(self) -> float:
        if self._next is None:
            return 0
        return min(max(self._due_in_ns(), 0), NAP_NS_MAX) / NS_PER_S

    def _rebase(self) -> None:
        self._anchor_ns = (self._clock.monotonic_ns(), self._at_ns)
        self._changed.set()


def _checked(speed: float) -> float:
    if not 0 <= speed <= SPEED_MAX:
        raise ValueError(f"speed must be from 0 (as fast as possible) to {SPEED_MAX:.0f}, was {speed}")
    return speed
