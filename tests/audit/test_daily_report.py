"""A day's report counts what happened, and is a page that needs nothing else."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import msgspec
import pytest

from ordergate.audit import daily
from ordergate.audit.daily import Tally
from ordergate.audit.report_page import Cover, page
from ordergate.core.ids import AccountId
from ordergate.journal.memory_store import stored
from tests.engine.stage import TRADER, Stage

COVER = Cover(
    day=date(2026, 1, 5),
    environment="paper",
    tenant="<acme>",
    accounts=("P-TEST",),
    controls={"R06": "order quantity", "R07": "order value"},
    made_at=datetime(2026, 1, 6, tzinfo=UTC),
    version="1",
    records=10,
    signed=9,
    problems=(),
)


@pytest.fixture
async def tally() -> Tally:
    """Two orders, a fill, two denials, and a kill switch with a reason that is no HTML."""
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(1), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        await stage.accepted()
        for _ in range(2):
            await stage.place(quantity=1_000_000)
        await stage.gate.engage_kill(
            TRADER, grade="block_new", reason="<script>drill</script>", correlation="t"
        )
        tally = Tally()
        for account, books in stage.journal.books.items():
            for event in books.events:
                daily.add(tally, AccountId(account), stored(*event))
        return tally


async def test_what_happened_is_counted(tally: Tally) -> None:
    assert tally.counts["orders accepted"] == 2
    assert tally.counts["orders denied by risk"] == 2
    assert tally.counts["executions"] == 1
    assert tally.fired["R06"] == 2
    assert tally.reasons["R06 order-quantity"] == 2
    assert tally.accepted_by_hour == {15: 2}
    assert tally.denied_by_hour == {15: 2}
    assert len(tally.limits["P-TEST"]) == 1
    (kill,) = tally.sections[daily.KILL]
    assert (kill.what, kill.who, kill.why) == ("kill engaged · block_new", "trader", "<script>drill</script>")


class Reader(HTMLParser):
    """Every tag in its place, and nothing that is fetched or run."""

    VOID = frozenset({"meta", "br", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        if tag not in self.VOID or (tag == "rect" and not (self.get_starttag_text() or "").endswith("/>")):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_is_whole_and_needs_nothing_else(tally: Tally) -> None:
    made = page(COVER, tally)
    reader = Reader()
    reader.feed(made)
    assert reader.open == []
    assert {"svg", "table", "style"} <= reader.seen
    assert not {"script", "link", "img", "iframe"} & reader.seen
    assert not re.search(r"https?://|url\(", made)
    assert "&lt;script&gt;drill" in made
    assert "&lt;acme&gt;" in made
    assert "The record holds." in made
    for section in daily.SECTIONS:
        assert f"<h2>{section}</h2>" in made
    assert "R07 order value" in made


async def test_a_record_that_does_not_hold_is_said_first(tally: Tally) -> None:
    broken = page(msgspec.structs.replace(COVER, problems=("chain",)), tally)
    assert "this report proves nothing" in broken
    assert "The record holds." not in broken
