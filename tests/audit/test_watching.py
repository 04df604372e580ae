"""Everything that others must be told of is kept once, whatever dies in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from ordergate.audit import watching
from ordergate.audit.watching import Endpoint, Stream, Watching, streams_of
from ordergate.core.faults import JournalCorrupt, JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.journal.memory_surveillance import MemorySurveillance
from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.ports.journal import AnyEvent, Stored
from ordergate.ports.surveillance import Forgotten, Notice, Surveillance
from tests.audit.logs import HandClock
from tests.engine.stage import Listener
from tests.journal.making import ALICE, BOB, accepted, opened, taken

RISK = Endpoint(name="risk", streams=frozenset({Stream.ALERTS}))
COPY = Endpoint(name="copy", streams=frozenset({Stream.DROP_COPY}), accounts=frozenset({ALICE}))
CONTROL = AccountId("P-CONTROL")
AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


class World:
    def __init__(self) -> None:
        self.journal = MemoryJournal(Env.PAPER)
        self.store = MemorySurveillance()
        self.listener = Listener()
        self.begin()

    def begin(self) -> None:
        self.made = Watching(
            self.listener,
            journal=self.journal,
            audit_log=MemoryAuditLog(self.journal.store),
            store=self.store,
            endpoints=[RISK, COPY],
            clock=HandClock(),
        )

    def hear(self, account: AccountId, seq: int, kind: str) -> None:
        self.made.tell(account, seq, kind, b'{"seq":%d}' % seq)

    @property
    def copied(self) -> list[tuple[AccountId, int]]:
        return [(one.notice.account, one.notice.seq) for one in self.store.kept]

    @property
    def sent(self) -> set[tuple[str, AccountId, int]]:
        return set(self.store.sent)


async def test_executions_are_copied_and_denials_alert() -> None:
    world = World()
    await world.made.catch_up()
    world.hear(ALICE, 1, "order_accepted")
    world.hear(ALICE, 2, "order_filled")
    world.hear(BOB, 1, "execution_busted")
    world.hear(BOB, 2, "order_denied")
    world.hear(CONTROL, 1, "limit_rule_set")
    await world.made.flush()
    assert world.copied == [(ALICE, 2), (BOB, 1), (CONTROL, 1)]
    assert [one.number for one in world.store.kept] == [1, 2, 3]
    assert world.sent == {
        ("copy", ALICE, 2),
        ("copy", CONTROL, 1),
        ("risk", BOB, 2),
        ("risk", CONTROL, 1),
    }


async def test_what_was_not_heard_is_read_from_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "COPIED", frozenset({"order_accepted"}))
    world = World()
    owner = await taken(world.journal, ALICE)
    await world.journal.append(owner.unit(opened(ALICE)))
    await world.made.catch_up()
    assert world.copied == []
    for number in range(3):
        await world.journal.append(owner.unit(accepted(ALICE, number)))
    world.hear(ALICE, 2, "order_accepted")
    await world.made.flush()
    world.begin()  # the process died: two events were never told to it
    await world.made.catch_up()
    assert world.copied == [(ALICE, 2), (ALICE, 3), (ALICE, 4)]
    await world.made.catch_up()
    assert len(world.copied) == 3


async def test_a_past_that_cannot_be_read_silences_no_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "COPIED", frozenset({"order_accepted"}))
    world = World()
    owners = [await taken(world.journal, account) for account in (ALICE, BOB)]
    for owner in owners:
        await world.journal.append(owner.unit(opened(owner.account)))
    await world.made.catch_up()
    for owner in owners:
        await world.journal.append(owner.unit(*(accepted(owner.account, number) for number in range(3))))
    read = world.journal.read

    async def broken(account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        async for stored in read(account, after=after, upto=upto):
            if account == ALICE and stored.seq == 3:
                raise JournalCorrupt("the chain breaks at event 3")
            yield stored

    monkeypatch.setattr(world.journal, "read", broken)
    world.begin()
    await world.made.catch_up()
    assert world.copied == [(ALICE, 2), (BOB, 2), (BOB, 3), (BOB, 4)]
    assert world.store.seen == {ALICE: 2, BOB: 4}


async def test_a_past_from_before_the_first_start_alerts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "COPIED", frozenset({"order_accepted"}))
    world = World()
    owner = await taken(world.journal, ALICE)
    await world.journal.append(owner.unit(opened(ALICE), accepted(ALICE, 1)))
    await world.made.catch_up()
    assert world.copied == []
    assert world.store.seen == {ALICE: 2}


async def test_a_database_that_is_away_loses_nothing() -> None:
    world = World()
    await world.made.catch_up()
    world.hear(ALICE, 1, "order_filled")
    world.store.away = True
    with pytest.raises(JournalUnavailable):
        await world.made.flush()
    assert world.store.seen == {}


async def test_everything_is_passed_on_at_once() -> None:
    world = World()
    world.made.tell(AccountId("P-TEST"), 1, "order_filled", b"{}")
    assert world.listener.kinds == ["order_filled"]


def test_the_names_are_those_of_events() -> None:
    kinds = {one.__struct_config__.tag for one in get_args(AnyEvent)}
    assert kinds >= watching.COPIED | watching.ALERTING
    assert streams_of("override_used") == streams_of("limit_rule_set") == frozenset(Stream)
    assert streams_of("order_acknowledged") == frozenset()


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Surveillance]:
    if request.param == "memory":
        yield MemorySurveillance()
        return
    made = await PostgresSurveillance.connect(database)
    yield made
    await made.close()


def notice(seq: int) -> Notice:
    return Notice(account=ALICE, seq=seq, kind="order_filled", frame=b'{"seq":%d}' % seq)


async def test_what_is_kept_and_becomes_of_it(store: Surveillance) -> None:
    one, two = notice(1), notice(2)
    await store.keep({ALICE: 2}, [one, two], [("risk", one), ("risk", two), ("copy", two)], AT)
    await store.keep({ALICE: 1}, [one], [("risk", one)], AT)
    assert await store.cursors() == {ALICE: 2}
    assert [(copy.number, copy.notice) for copy in await store.copies(0, 10)] == [(1, one), (2, two)]
    assert [copy.number for copy in await store.copies(1, 10)] == [2]
    assert isinstance(store, MemorySurveillance | PostgresSurveillance)
    assert [copy.number for copy in await store.copies_of([BOB, ALICE], 1, 10)] == [2]
    assert await store.copies_of([BOB], 0, 10) == []
    assert await store.last_number() == 2
    first, second = await store.due("risk", AT, 10)
    assert (first.notice, second.notice, first.attempts) == (one, two, 0)
    await store.delivered(first, AT)
    await store.failed(second, "busy", AT + timedelta(seconds=5))
    assert await store.due("risk", AT + timedelta(seconds=4), 10) == []
    (again,) = await store.due("risk", AT + timedelta(seconds=5), 10)
    assert (again.notice, again.attempts) == (two, 1)
    await store.failed(again, "busy", None)
    assert await store.due("risk", AT + timedelta(days=9), 10) == []
    assert [one.notice for one in await store.due("copy", AT, 10)] == [two]
    later, never = AT + timedelta(days=10_000), AT - timedelta(days=9_999)
    assert await store.forget(AT, never) == Forgotten(0, 0)
    if isinstance(store, PostgresSurveillance):
        assert await store.forgettable(later, later) == Forgotten(1, 1)
    assert await store.forget(AT + timedelta(days=1), never) == Forgotten(1, 0)
    assert await store.forget(never, later) == Forgotten(0, 1)
    assert len(await store.copies(0, 10)) == 2


BREACHES = (
    "order_denied",
    "replace_denied",
    "group_denied",
    "loss_limit_reached",
    "use_refused",
    "alarm_raised",
    "break_opened",
    "break_reopened",
    "order_quarantined",
    "kill_engaged",
    "kill_released",
    "kill_flatten_asked",
    "kill_flatten_confirmed",
    "dead_man_expired",
    "limit_rule_set",
    "limit_rule_removed",
    "limits_taken_in",
    "change_proposed",
    "change_approved",
    "change_rejected",
    "change_expired",
    "override_granted",
    "override_used",
    "identity_changed",
    "order_resolved",
    "break_resolved",
)
CHANGES = tuple(kind for kind in BREACHES if kind.startswith(("kill", "limit", "change", "override")))


@pytest.mark.parametrize("kind", BREACHES)
async def test_trader_and_risk_are_both_told_of_every_breach_and_change(kind: str) -> None:
    world = World()
    trader = Endpoint(name="trader", streams=frozenset({Stream.ALERTS}), accounts=frozenset({ALICE}))
    world.made = Watching(
        world.listener,
        journal=world.journal,
        audit_log=MemoryAuditLog(world.journal.store),
        store=world.store,
        endpoints=[RISK, trader],
        clock=HandClock(),
    )
    streams = (ALICE, AccountId("P-CONTROL"), AccountId("P-LIMITS"), AccountId("P-AUDIT"))
    for stream in streams:
        world.hear(stream, 1, kind)
    await world.made.flush()
    assert world.sent == {(name, stream, 1) for name in ("risk", "trader") for stream in streams}


@pytest.mark.parametrize("kind", ["order_filled", "order_partially_filled", "execution_busted", *CHANGES])
def test_every_execution_bust_override_and_change_is_copied(kind: str) -> None:
    assert Stream.DROP_COPY in streams_of(kind)
    assert kind in {one.__struct_config__.tag for one in get_args(AnyEvent)}
