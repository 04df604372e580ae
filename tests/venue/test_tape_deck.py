"""All tapes of a venue, and what they do when something is in their way."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from ordergate.venue import tape_deck
from ordergate.venue.tape.player import Player
from ordergate.venue.tape.records import Packet
from ordergate.venue.tape_deck import TapeDeck
from tests.venue.test_player import FakeClock, Tape


class Hindered:
    """A stage that cannot have the second packet the first two times."""

    def __init__(self) -> None:
        self.played: list[int] = []
        self.hindrances = 2
        self.over = asyncio.Event()

    def play(self, symbol: str, packet: Packet, now: datetime) -> None:
        if packet.at_ns == 1 and self.hindrances:
            self.hindrances -= 1
            raise OSError("no space left")
        self.played.append(packet.at_ns)
        if packet.at_ns == 2:
            self.over.set()

    def clear_tape(self, symbol: str, now: datetime) -> None:
        """Nothing is kept."""


async def test_a_tape_that_is_hindered_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_deck, "TRY_AGAIN_S", 0)
    stage = Hindered()
    deck = TapeDeck([Player(stage, Tape([0, 1, 2]), clock=FakeClock(), loop=False)])
    deck.start()
    async with asyncio.timeout(10):
        await stage.over.wait()
    await deck.stop()
    assert stage.played == [0, 1, 2]
