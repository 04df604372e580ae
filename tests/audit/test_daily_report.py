"""A day's report counts what happened, and is a page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import msgspec
import pytest

from ordergate.audit.daily import Tally
from ordergate.audit.daily_lines import KILL, LIMITS, SECTIONS
from ordergate.audit.report_page import Cover, page
from ordergate.core.risk.rules import Reach
from ordergate.core.risk.trading_state import Grade, Level
from tests.audit.days import tally_of
from tests.engine.killing import engage, hold, kinds, working
from tests.engine.limit_people import edited, rule, setting
from tests.engine.stage import RISK, START, TRADER, Stage

COVER = Cover(
    day=date(2026, 1, 5),
    environment="paper",
    tenant="<acme>",
    accounts=("P-TEST",),
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
        return tally_of(stage)


async def test_what_happened_is_counted(tally: Tally) -> None:
    assert tally.counts["orders accepted"] == 2
    assert tally.counts["orders denied by risk"] == 2
    assert tally.counts["executions"] == 1
    assert tally.fired.refused["R06"] == 2
    assert tally.fired.reasons["R06 order-quantity"] == 2
    assert tally.accepted_by_hour == {15: 2}
    assert tally.denied_by_hour == {15: 2}
    assert len(tally.limits["P-TEST"]) == 1
    (kill,) = tally.sections[KILL]
    assert (kill.what, kill.who) == ("kill engaged: block_new of everything", "trader")
    assert kill.why == "<script>drill</script>; lifted: by another person"


async def test_what_was_before_the_day_is_not_counted_and_yet_remembered() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 9})))
        await stage.accepted()
        await stage.clock.move(86_400)
        await edited(stage, setting(rule({"max_open_orders": 8}), 1))
        told = tally_of(stage, START.date() + timedelta(days=1))
        assert told.counts["orders accepted"] == 0
        (line,) = told.sections[LIMITS]
        assert "max open orders: 9 → 8" in line.what


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
    for section in (*SECTIONS, "Kill drills"):
        assert f"<h2>{section}</h2>" in made
    for number in range(1, 31):
        assert f"<td>R{number:02} " in made
    assert "R07 order value" in made


async def test_the_page_forbids_whatever_it_does_not_have_itself(tally: Tally) -> None:
    made = page(COVER, tally)
    style = made.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in made
    assert " style=" not in made


def rows_under(made: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    table = made.partition(f">{heading}</h")[2].partition("<table>")[2].partition("</table>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]


async def test_a_kill_drill_has_its_own_figures() -> None:
    async with Stage(latency_s=0.25) as stage:
        await hold(stage, 2)
        resting = await stage.accepted()
        await stage.until(lambda: stage.status(resting) == "working")
        await stage.gate.engage_kill(TRADER, grade="cancel_all", reason="rehearsal", correlation="test")
        await stage.until(lambda: "kill_swept" in kinds(stage))
        for who in (TRADER, RISK):
            await stage.gate.flatten_kill(who, reason="rehearsal", correlation="test")
        await stage.until(lambda: tally_of(stage).stops[0].flat)
        await stage.gate.release_kill(RISK, reason="rehearsal", correlation="test")
        made = page(COVER, tally_of(stage))
    (drill,) = rows_under(made, "Kill drills")
    assert drill[1:5] == [
        "cancel_all of everything",
        "trader",
        "1: 1 canceled, 0 ended otherwise",
        "1 asked for, 1 left, 1 proven, 0 refused",
    ]
    assert all(re.fullmatch(r"[0-9]+\.[0-9]{3} s", took) for took in drill[5:8])
    assert drill[8] == "nothing"
    assert drill[9].endswith(" by risk")
    assert "<h3>How stops that cancel were carried out</h3>\n<p>None.</p>" in made


async def test_a_stop_that_is_no_drill_has_the_same_figures_under_the_kill_switch() -> None:
    async with Stage() as stage:
        await working(stage)
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.CANCEL_ALL)
        await stage.until(lambda: "kill_swept" in kinds(stage))
        made = page(COVER, tally_of(stage))
    (stop,) = rows_under(made, "How stops that cancel were carried out")
    assert stop[1] == "cancel_all of the account P-TEST"
    assert (stop[7], stop[9]) == ("", "not yet")
    assert "<h2>Kill drills</h2>\n<p>None.</p>" in made


async def test_what_people_wrote_is_text_in_every_table() -> None:
    async with Stage() as stage:
        await engage(stage, Level.STRATEGY, "<b>trend", Grade.CANCEL_ALL)
        await stage.gate.engage_kill(TRADER, grade="cancel_all", reason="rehearsal <i>", correlation="test")
        odd = rule({"max_open_orders": 9}, name="odd", scope=Reach.STRATEGY, of="<u>trend")
        await edited(stage, setting(odd))
        made = page(COVER, tally_of(stage))
    reader = Reader()
    reader.feed(made)
    assert reader.open == []
    assert not {"b", "i", "u"} & reader.seen
    assert made.count("&lt;b&gt;trend") == 2
    assert "&lt;u&gt;trend" in made


async def test_refusals_and_notes_in_shadow_stand_apart_on_the_page() -> None:
    async with Stage(limits={"shadow": ["R06"]}) as stage:
        await stage.accepted(quantity=101)
        await stage.place(quantity=10_001)
        made = page(COVER, tally_of(stage))
    rows = {row[0]: row[1:] for row in rows_under(made, "Controls that fired")}
    assert len(rows) == 30
    assert rows["R06 order quantity"] == ["0", "2", "0", "", ""]
    assert rows["R11 position"][:2] == ["1", "0"]
    assert rows["R29 surveillance"][3] == ""
    assert "<td>R06 order-quantity</td>" in made


async def test_a_record_that_does_not_hold_is_said_first(tally: Tally) -> None:
    broken = page(msgspec.structs.replace(COVER, problems=("chain",)), tally)
    assert "this report proves nothing" in broken
    assert "The record holds." not in broken
