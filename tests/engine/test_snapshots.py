"""A start from a snapshot is a start from everything, only quicker; where it would be less, none is used."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Final

import msgspec
import pytest

from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import AccountId, Paper
from ordergate.engine.accounts import pictures
from ordergate.engine.accounts.books import Books
from ordergate.engine.accounts.pictures import Picture
from ordergate.engine.accounts.recovery import Recovery
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.answering.answers import Answer
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.journal import Snapshot, Stored
from ordergate.telemetry import failpoints
from tests.dose import dose
from tests.engine.groups import bracket, move_market, placed
from tests.engine.stage import ACCOUNT, ES, Stage
from tests.engine.test_contingent_storms import Weather
from tests.engine.test_pictures import everything

OFTEN: Final = SnapshotPace(events=4, look_s=0.5)
NEVER: Final = SnapshotPace(events=1_000_000)
SEEDS: Final = dose(12, 200)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


async def whole(stage: Stage) -> Books:
    """The account folded from its first event, whatever snapshot there is."""
    recovery = Recovery(ACCOUNT, stage.journal, stage.lane._instruments, "no snapshot is of these")
    return (await recovery.fold(stage.lane.head, stage.lane.head, lambda stored: None)).books


async def traded(stage: Stage) -> None:
    """Some orders: open, filled, cancelled."""
    await stage.accepted(client_order_id="mine-1")
    await stage.accepted(quantity=3, client_order_id="mine-2")
    await stage.until(lambda: stage.placed_at_exchange() == 2)
    stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(1), Decimal(4700))
    await stage.until(lambda: stage.held(ES) == 1)


def kept(stage: Stage) -> Snapshot | None:
    return stage.journal.store.snapshot(ACCOUNT, stage.rules)


async def test_a_restart_folds_only_what_came_after_the_snapshot() -> None:
    async with Stage(snapshots=OFTEN) as stage:
        await traded(stage)
        await stage.until(lambda: stage.lane.kept_at > 4)
        at = stage.lane.kept_at
        await stage.crash()
        await stage.start()
        assert stage.lane.folded_since == at
        assert everything(stage.lane.books) == everything(await whole(stage))
        assert stage.lane.books.may_have_client_order_id("mine-1")
        assert not stage.lane.books.may_have_client_order_id("not-mine")


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_start_of_a_stormy_life_comes_to_the_books_that_all_events_make(seed: int) -> None:
    dice = random.Random(seed)
    weather = Weather(dice)
    used = 0
    async with Stage(fate=weather, snapshots=OFTEN) as stage:
        await placed(stage, bracket(trails=seed % 2 == 0))
        for _ in range(30):
            what = dice.random()
            if what < 0.3:
                move_market(stage, str(4770 + dice.randrange(60)))
            elif what < 0.5:
                await stage.place(quantity=2, client_order_id=f"mine-{dice.randrange(8)}")
            elif what < 0.7:
                resting = [one for one in stage.exchange.orders() if one.is_open]
                if resting:
                    stage.exchange.fill(dice.choice(resting).id, Decimal(1), Decimal(4800))
            elif what < 0.85:
                await stage.crash()
                await stage.start(ready=False)
                await stage.until(stage.lane.ready.is_set)
                used += stage.lane.folded_since > 0
                assert everything(stage.lane.books) == everything(await whole(stage))
            await stage.clock.move(dice.choice((0.25, 1, 3)))
    assert used, "no start was from a snapshot"


async def test_a_snapshot_of_other_rules_is_not_used_and_is_replaced() -> None:
    async with Stage(snapshots=OFTEN) as stage:
        await traded(stage)
        await stage.until(lambda: kept(stage) is not None)
        stage.rules = "a later release's"
        await stage.restart()
        assert stage.lane.folded_since == 0
        await stage.until(lambda: kept(stage) is not None)


@pytest.mark.parametrize(
    "body",
    [b"no picture", b"", b'{"waiting":["PO-nobody"]}\n'],
    ids=["unreadable", "empty", "contradicting"],
)
async def test_a_snapshot_that_is_nonsense_is_passed_over(body: bytes) -> None:
    async with Stage(snapshots=OFTEN) as stage:
        await traded(stage)
        await stage.until(lambda: kept(stage) is not None)
        stage.snapshots = NEVER
        await spoil(stage, body)
        await stage.restart()
        assert stage.lane.folded_since == 0
        assert everything(stage.lane.books) == everything(await whole(stage))


async def spoil(stage: Stage, body: bytes) -> None:
    """Another body under a seal that holds, with events after it that do not fit to it."""
    snapshot = kept(stage)
    assert snapshot is not None
    answer = await stage.place(client_order_id="after")
    assert isinstance(answer, Answer)
    await stage.until(lambda: stage.status(answer.order_id) == "working")
    spoilt = msgspec.structs.replace(snapshot, epoch=stage.lane.epoch, seq=snapshot.seq, body=body)
    stage.journal.store.snapshots.clear()
    assert stage.journal.store.keep(spoilt)


async def test_books_that_run_ahead_of_the_disk_are_not_kept_before_it_has_caught_up() -> None:
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        head = stage.lane.head
        stage.journal.hold()
        waiting = asyncio.ensure_future(stage.place())
        await stage.clock.move(0)
        assert stage.lane.head > head
        keeping = asyncio.ensure_future(stage.node.snapshots.keep(stage.lane))
        await stage.clock.move(0)
        assert not keeping.done()
        stage.journal.release()
        assert await keeping
        assert isinstance(await waiting, Answer)
        assert stage.lane.kept_at > head


async def test_a_decision_that_was_lost_is_in_no_snapshot() -> None:
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        stage.journal.hold()
        waiting = asyncio.ensure_future(stage.place())
        await stage.clock.move(0)
        keeping = asyncio.ensure_future(stage.node.snapshots.keep(stage.lane))
        await stage.clock.move(0)
        stage.journal.cut(written=False)
        stage.journal.release()
        assert not await keeping
        assert kept(stage) is None
        await stage.until(stage.lane.ready.is_set)
        await stage.until(waiting.done)


async def test_an_owner_that_has_lost_the_account_keeps_nothing() -> None:
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        stage.journal.store.take(ACCOUNT)
        assert not await stage.node.snapshots.keep(stage.lane)
        assert kept(stage) is None


@pytest.mark.parametrize(("place", "stays"), [("C18", False), ("C19", True)])
async def test_death_around_the_keeping_costs_nothing_but_work(place: str, stays: bool) -> None:
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        failpoints.arm(_die_at(place))
        with pytest.raises(Died):
            await stage.node.snapshots.keep(stage.lane)
        failpoints.arm(None)
        await stage.restart()
        assert (stage.lane.folded_since > 0) is stays
        assert everything(stage.lane.books) == everything(await whole(stage))


class Died(BaseException):
    """The process ends here."""


def _die_at(where: str) -> Callable[[str], None]:
    def strike(place: str) -> None:
        if place == where:
            raise Died

    return strike


async def test_clients_are_told_what_lies_before_a_snapshot_and_was_never_told() -> None:
    """The answer to a commit was lost, so nobody was told; a snapshot of it must not swallow it."""
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        stage.journal.hold()
        waiting = asyncio.ensure_future(stage.place())
        await stage.clock.move(0)
        told = len(stage.listener.seqs)
        epoch, picture, head = stage.lane.epoch, stage.lane.books.picture(), stage.lane.head
        stage.journal.cut(written=True)
        assert await stage.journal.keep(snapshot_of(picture, epoch, head, stage.rules))
        stage.journal.release()
        await stage.until(lambda: stage.lane.ready.is_set() and waiting.done())
        assert stage.lane.folded_since == head
        assert len(stage.listener.seqs) > told
        assert stage.listener.seqs == list(range(stage.listener.seqs[0], stage.listener.seqs[-1] + 1))


def snapshot_of(picture: Picture, epoch: int, seq: int, rules: str) -> Snapshot:
    body = b"".join(pictures.lines(picture))
    return Snapshot(account=ACCOUNT, epoch=epoch, seq=seq, rules=rules, body=body)


async def test_a_failed_snapshot_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refuse(snapshot: Snapshot) -> bool:
        tried.append(snapshot.seq)
        return False

    async with Stage(snapshots=SnapshotPace(events=4, look_s=0.5, retry_s=30)) as stage:
        monkeypatch.setattr(stage.journal.store, "keep", refuse)
        await traded(stage)
        await stage.until(lambda: tried)
        for _ in range(40):
            await stage.clock.move(0.5)
        assert len(tried) == 1
        monkeypatch.undo()
        await stage.until(lambda: kept(stage) is not None, within_s=20)


async def test_what_a_start_would_have_to_fold_is_shown() -> None:
    async with Stage(snapshots=NEVER) as stage:
        await traded(stage)
        await stage.clock.move(2)
        assert behind(stage) == stage.lane.head
        assert await stage.node.snapshots.keep(stage.lane)
        await stage.clock.move(2)
        assert behind(stage) == stage.lane.head - stage.lane.kept_at


def behind(stage: Stage) -> int:
    name = "ordergate_snapshot_events_behind"
    return int(stage.metrics.registry.get_sample_value(name) or 0)


async def test_a_seal_broken_before_the_snapshot_stops_the_account_when_the_proof_gets_there() -> None:
    async with Stage(snapshots=OFTEN) as stage:
        await traded(stage)
        await stage.until(lambda: kept(stage) is not None)
        await stage.crash()
        stage.journal = Broken(stage.journal, at=2)
        await stage.start(ready=False)
        await stage.until(lambda: stage.lane.halted)
        assert "the chain breaks" in (stage.lane.trouble or "")


class Broken(MemoryJournal[Paper]):
    """A journal of which one event was changed by hand."""

    def __init__(self, journal: MemoryJournal[Paper], at: int) -> None:
        super().__init__(journal.env)
        self.store = journal.store
        self._at = at

    async def read(self, account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        async for stored in super().read(account, after=after, upto=upto):
            if (account, stored.seq) == (ACCOUNT, self._at):
                raise JournalCorrupt(f"{account}: the chain breaks at event {stored.seq}")
            yield stored
