"""All tapes of a venue: starts and stops their players, and passes commands on to them.

A tape that turns out unreadable stops and is named in the log; the venue goes on without it. While the
decision log cannot be written tapes wait.
Never looks into a packet.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from ordergate.venue.tape.player import Player, PlayerState
from ordergate.venue.tape.records import TapeUnreadable

_log: Final = logging.getLogger(__name__)

TRY_AGAIN_S = 1.0


class TapeCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with all tapes, or with the one of `symbol`. Steps are played last, and at once."""

    symbol: str | None = None
    paused: bool | UnsetType = UNSET
    speed: float | UnsetType = UNSET
    steps: int | UnsetType = UNSET


class TapeDeck:
    def __init__(self, players: Iterable[Player]) -> None:
        self._players = {player.symbol: player for player in players}
        self._playing: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin every tape, so that the books are full before anybody asks, and play on."""
        for player in self._players.values():
            player.begin()
            self._playing.append(asyncio.create_task(_play(player), name=f"tape {player.symbol}"))

    async def stop(self) -> None:
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        self._playing.clear()

    def states(self) -> list[PlayerState]:
        return [player.state() for player in self._players.values()]

    def command(self, command: TapeCommand) -> None:
        """Raises ValueError with a sentence when there is no such tape, speed or number of steps."""
        if command.symbol is not None and command.symbol not in self._players:
            raise ValueError(f"no tape plays {command.symbol}")
        for symbol, player in self._players.items():
            if command.symbol in (None, symbol):
                _obey(player, command)


def _obey(player: Player, command: TapeCommand) -> None:
    if command.speed is not UNSET:
        player.set_speed(command.speed)
    if command.paused is not UNSET:
        player.pause() if command.paused else player.resume()
    if command.steps is not UNSET:
        player.step(command.steps)


async def _play(player: Player) -> None:
    while True:
        try:
            await player.run()
        except OSError as fault:
            _log.error("tape.waits", extra={"symbol": player.symbol, "reason": str(fault)})
            await asyncio.sleep(TRY_AGAIN_S)
        except TapeUnreadable as fault:
            _log.error("tape.unreadable", extra={"symbol": player.symbol, "reason": str(fault)})
            return
        else:
            return
