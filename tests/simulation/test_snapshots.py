"""Worlds whose gateways start from snapshots: nothing is violated, and no start comes to other books."""

from __future__ import annotations

from typing import Final

import pytest

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.orders.events import OrderEvent
from ordergate.engine.accounts.books import Books
from ordergate.engine.accounts.recovery import Folded, Recovery, Tell
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.simulation.journal import SimJournal
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from tests.dose import dose
from tests.engine.test_pictures import everything

OFTEN: Final = SnapshotPace(events=5, look_s=0.5, retry_s=1.0)
SEEDS: Final = dose(12, 1_000)


@pytest.mark.timeout(1800)
def test_no_world_is_violated_and_every_start_comes_to_the_books_of_all_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: list[bool] = []
    fold = Recovery.fold

    async def compared(recovery: Recovery, head: int, told: int, tell: Tell) -> Folded:
        folded = await fold(recovery, head, told, tell)
        if folded.since:
            starts.append(everything(folded.books) == everything(whole(recovery, head)))
        return folded

    monkeypatch.setattr(Recovery, "fold", compared)
    violations = {seed: run(draw(seed), snapshots=OFTEN).violations for seed in range(1, SEEDS + 1)}
    assert {seed: told for seed, told in violations.items() if told} == {}
    assert len(starts) >= SEEDS
    assert all(starts)


def whole(recovery: Recovery, head: int) -> Books:
    """What all events make, read from the database's own memory."""
    books = recovery._books()
    journal = recovery._journal
    assert isinstance(journal, SimJournal)
    for entry, _ in journal._server.store.books[recovery._account].events[:head]:
        match entry.event:
            case OrderEvent() | AccountEvent() as event:
                books.fold(event)
            case _:
                continue
    books.reserve()
    return books
