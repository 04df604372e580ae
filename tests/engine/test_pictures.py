"""A snapshot and the events after it make the books that all events make, wherever the cut is."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Final

import msgspec
import pytest

from ordergate.core.ids import Env, OrderId, Paper, order_id
from ordergate.engine.accounts import books as books_module
from ordergate.engine.accounts import pictures
from ordergate.engine.accounts.books import Books
from ordergate.engine.accounts.broker_ids import BrokerIds
from ordergate.engine.accounts.labels import Labels
from ordergate.engine.accounts.pictures import Unreadable
from ordergate.engine.accounts.recovery import Folded, Recovery
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.journal import Snapshot
from tests.dose import dose
from tests.engine.pasts import KINDS, LISTED, past
from tests.journal.making import ALICE, opened, taken

SEEDS: Final = dose(8, 2_000)
LENGTH: Final = 1_000
CUTS: Final = 6
RULES: Final = "rules"


@pytest.mark.parametrize("kept", [3, 20_000])
@pytest.mark.parametrize("part", range(4))
async def test_folding_on_from_any_snapshot_is_folding_everything(
    monkeypatch: pytest.MonkeyPatch, kept: int, part: int
) -> None:
    """Also where final orders were let go of, and come back by late news."""
    monkeypatch.setattr(books_module, "FINAL_ORDERS_KEPT_MAX", kept)
    for seed in range(part, SEEDS, 4):
        chance = Random(seed)
        at = await Written.of(past(chance, LENGTH))
        whole = await at.folded(at.head)
        assert whole.since == 0
        for cut in sorted(chance.sample(range(1, at.head + 1), min(CUTS, at.head))):
            await at.keep(cut)
            again = await at.folded(at.head)
            assert again.since == cut
            assert everything(again.books) == everything(whole.books), f"seed {seed}, cut at {cut}"


def test_every_kind_of_event_is_in_the_pasts() -> None:
    found = Counter(type(event) for seed in range(SEEDS) for event in past(Random(seed), LENGTH))
    assert not [kind.__name__ for kind in KINDS if not found[kind]]


def test_a_picture_is_read_as_it_was_written() -> None:
    for seed in range(SEEDS):
        books = Books(LISTED)
        for event in past(Random(seed), LENGTH):
            books.fold(event)
        picture = books.picture()
        assert pictures.read(b"".join(pictures.lines(picture))) == picture


def test_a_picture_is_not_changed_by_what_comes_after_it() -> None:
    events = past(Random(7), LENGTH)
    books = Books(LISTED)
    for event in events[:200]:
        books.fold(event)
    picture = books.picture()
    text = b"".join(pictures.lines(picture))
    for event in events[200:]:
        books.fold(event)
    assert b"".join(pictures.lines(picture)) == text


@pytest.mark.parametrize("text", [b"no json", b'{"unknown":1}\n', b'{"open":[{"id":"PO-1"}]}\n', b"\xff\n"])
def test_what_is_no_picture_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable):
        pictures.read(text)


@pytest.mark.parametrize(
    "wrong", [{"labels": b"short"}, {"waiting": (OrderId("PO-nobody"),)}, {"account": None}], ids=str
)
def test_a_picture_that_does_not_fit_together_is_unreadable(wrong: dict[str, object]) -> None:
    books = Books(LISTED)
    books.fold(opened(ALICE))
    with pytest.raises(Unreadable):
        Books(LISTED).show(msgspec.structs.replace(books.picture(), **wrong))


def test_a_picture_without_the_ids_of_a_broker_that_knows_no_others_is_unreadable() -> None:
    books = Books(LISTED)
    books.fold(opened(ALICE))
    picture = msgspec.structs.replace(books.picture(), by_broker_id={"broker-1": OrderId("PO-1")})
    Books(LISTED).show(picture)
    with pytest.raises(Unreadable):
        Books(LISTED, nameless=True).show(picture)


def test_an_id_of_a_broker_is_of_the_order_that_had_it_last() -> None:
    ids = BrokerIds()
    orders = [order_id(Env.PAPER, at_ms=number, entropy=number) for number in range(1_000)]
    for number, order in enumerate(orders):
        ids.add(f"broker-{number}", order)
    ids.add("broker-1", orders[2])
    again = BrokerIds(ids.pack())
    found = [again.order_of(f"broker-{number}") for number in range(1_000)]
    assert found == [orders[0], orders[2], *orders[2:]]
    assert again.order_of("another") is None
    assert (len(again), again.pack()) == (1_000, ids.pack())


@pytest.mark.parametrize("packed", [b"short", b"x" * 29])
def test_what_no_ids_were_packed_to_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="not whole entries"):
        BrokerIds(packed)


def test_labels_say_never_only_of_what_never_was() -> None:
    labels = Labels()
    for number in range(1_000):
        labels.add(f"label-{number}")
    again = Labels(labels.pack())
    assert all(again.may_have(f"label-{number}") for number in range(1_000))
    assert not any(again.may_have(f"other-{number}") for number in range(1_000))
    assert again.pack() == labels.pack()


class Written:
    """A past in a journal, and ways to fold it."""

    def __init__(self, journal: MemoryJournal[Paper], epoch: int, head: int) -> None:
        self.head = head
        self._journal = journal
        self._epoch = epoch
        self._recovery = Recovery(ALICE, journal, LISTED, RULES)

    @classmethod
    async def of(cls, events: list[Any]) -> Written:
        journal = MemoryJournal(Env.PAPER)
        owner = await taken(journal)
        for event in events:
            await journal.append(owner.unit(event))
        return cls(journal, owner.taken.epoch, len(events))

    async def folded(self, head: int) -> Folded:
        return await self._recovery.fold(head, head, lambda stored: None)

    async def keep(self, cut: int) -> None:
        """A snapshot of exactly so many events, folded without another."""
        self._journal.store.snapshots.clear()
        books = (await self.folded(cut)).books
        body = b"".join(pictures.lines(books.picture()))
        assert await self._journal.keep(
            Snapshot(account=ALICE, epoch=self._epoch, seq=cut, rules=RULES, body=body)
        )


def everything(books: Books) -> dict[str, object]:
    """All that an engine could ask the books, in their order; and what is reserved, which has none."""
    exposure = books.exposure
    return {
        "picture": books.picture(),
        "flattening": list(books.groups.flattening),
        "waiting": list(books.waiting_orders()),
        "value": exposure.value,
        "held": {one.id: exposure.held(one.id) for one in books.open_orders()},
        "count": exposure.count,
        "by symbol": {symbol: exposure.of(symbol) for symbol in exposure.symbols()},
        "unpriced": exposure.unpriced,
        "valued": sorted(books.valuation.symbols()),
    }
