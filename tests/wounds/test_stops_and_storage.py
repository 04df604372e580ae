"""Switches that stopped the wrong thing, loops that nothing stopped, and memories that did not last."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import Env
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import RateWindow
from ordergate.engine.answering.answers import Answer, CancelAllAnswer, GroupAnswer, KillView
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.session import FenceHeld
from ordergate.journal.verify import verify
from ordergate.journal.writer import Limits
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage, let_run
from tests.journal.making import ALICE, accepted, opened, read, taken
from tests.security.world import b64, world
from tests.wounds.scenes import by_hand, limit_to

KEY = "the-very-same-key-1"
DAY = {"zone": "America/Chicago", "ends_at": "17:00"}
PATIENT = Limits(patience_s_max=30.0, attempts_max=1_000)


async def test_trade_relay_defect_3_the_kill_switch_lets_every_cancel_through() -> None:
    """The kill switch blocked cancels and the way out of positions along with everything else."""
    async with Stage() as stage:
        one, other = await stage.accepted(), await stage.accepted()
        await stage.until(lambda: stage.status(other) == "working")
        await engaged(stage)
        refused = await stage.place()
        assert isinstance(refused, Answer)
        assert [failed.control for failed in refused.failed] == ["R01"]
        canceled = await stage.gate.cancel(TRADER, one, key=stage.key(), correlation="test")
        assert isinstance(canceled, Answer), canceled
        await stage.until(lambda: stage.status(one) == "canceled")
        assert stage.status(other) == "working"
        rest = await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        assert isinstance(rest, CancelAllAnswer), rest
        await stage.until(lambda: stage.status(other) == "canceled")


async def test_trade_relay_defect_3_a_flatten_under_the_kill_switch_is_taken_and_is_not_lost() -> None:
    """A way out that is asked for while nothing may be placed waits in the journal, and is then walked."""
    async with Stage() as stage:
        bought = await stage.accepted(limit=None, quantity=2)
        await stage.until(lambda: stage.status(bought) == "filled")
        await engaged(stage)
        answer = await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        assert isinstance(answer, GroupAnswer), answer
        await stage.restart()
        assert stage.held(ES) == 2
        await stage.gate.release_kill(RISK, reason="over", correlation="test")
        await stage.until(lambda: stage.held(ES) == 0)
        assert stage.exchange.ledger.positions() == {}


async def test_trade_relay_defect_3_under_a_milder_stop_positions_can_still_be_closed() -> None:
    """A stop that lets nothing open need not keep anybody in a position."""
    async with Stage() as stage:
        bought = await stage.accepted(limit=None, quantity=2)
        await stage.until(lambda: stage.status(bought) == "filled")
        await engaged(stage, "reduce_only")
        opening = await stage.place()
        assert isinstance(opening, Answer)
        assert [failed.control for failed in opening.failed] == ["R01"]
        closing = await stage.accepted(side=Side.SELL, limit=None, quantity=2)
        await stage.until(lambda: stage.status(closing) == "filled")
        assert stage.exchange.ledger.positions() == {}


async def test_openalgo_1052_a_days_loss_has_a_limit_that_stays_reached() -> None:
    """Users asked for a daily loss limit and a daily number of trades."""
    async with Stage(limits={"losses": {"max_daily_loss": "1000"}, "trading_day": DAY}) as stage:
        bought = await stage.accepted(limit=None, quantity=2)
        await stage.until(lambda: stage.status(bought) == "filled")
        stage.price(Decimal(4790))  # ten points of two contracts at fifty each
        assert "R18 daily-loss" in await refused_by(stage)
        await stage.until(lambda: "loss_limit_reached" in stage.listener.kinds)
        stage.price(Decimal(4800))
        assert "R18 daily-loss" in await refused_by(stage)


async def test_openalgo_1052_a_days_trades_have_a_limit() -> None:
    """A number of trades is counted over the day, whoever places them."""
    async with Stage(limits={"losses": {"max_trades": 2}, "trading_day": DAY}) as stage:
        await stage.accepted(limit=None, quantity=1)
        await stage.accepted(limit=None, quantity=1)
        await stage.until(lambda: stage.held(ES) == 2)
        assert "R18 trade-count" in await refused_by(stage)


async def test_hummingbot_2497_a_kill_pauses_and_a_release_goes_on() -> None:
    """Users asked for a kill that pauses: it could only stop the bot for good."""
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await engaged(stage)
        for _ in range(300):
            await stage.clock.move(0.25)
        assert stage.status(order) == "working"
        await stage.gate.release_kill(RISK, reason="over", correlation="test")
        again = await stage.accepted(limit="4701")
        await stage.until(lambda: stage.status(again) == "working")


async def test_alpaca_api_164_a_strategy_gone_wild_is_stopped_by_its_rate() -> None:
    """Users asked for something that stops a strategy which places orders in a loop."""
    async with Stage() as stage:
        limit_to(stage, message_windows=(RateWindow(20, 60),))
        answers = [await stage.place(limit=str(4700 - number)) for number in range(200)]
        denied = [answer for answer in answers if isinstance(answer, Answer) and answer.failed]
        assert len(denied) == 180
        assert {failed.control for answer in denied for failed in answer.failed} == {"R15"}
        await stage.until(lambda: stage.placed_at_exchange() == 20)


async def test_openalgo_949_an_order_on_its_way_to_the_disk_is_not_confirmed_and_not_sent() -> None:
    """Orders waited in memory: a crash lost them without a trace, after they had been accepted."""
    async with Stage() as stage:
        stage.journal.hold()
        asking = asyncio.create_task(stage.place(key=KEY))
        await let_run()
        assert not asking.done()
        assert stage.placed_at_exchange() == 0
        await stage.crash()
        stage.journal.cut(written=False)
        stage.journal.release()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await stage.start()
        again = await stage.place(key=KEY)
        assert isinstance(again, Answer)
        assert not again.replayed
        await stage.until(lambda: stage.status(again.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_openalgo_949_what_was_confirmed_is_carried_on_after_a_crash() -> None:
    """The other half: what had been confirmed and not yet sent was never heard of again."""
    async with Stage() as stage:
        stage.broker._fated._latency_s = 1_000.0
        orders = [await stage.accepted(limit=str(4700 - number)) for number in range(20)]
        assert stage.placed_at_exchange() == 0
        await stage.restart()
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        assert stage.placed_at_exchange() == 20


async def test_openalgo_2019_a_database_that_hangs_holds_up_nothing_but_what_waits_for_it(
    database: str,
) -> None:
    """Calls to the database blocked the event loop; the sockets were dead for two hours."""
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=PATIENT)
    owner = await taken(journal)
    await journal.append(owner.unit(opened(ALICE)))
    blocker = await asyncpg.connect(database)
    async with blocker.transaction():
        await blocker.execute("lock table event in access exclusive mode")
        writing = journal.append(owner.place(1))
        turns = 0
        while turns < 1_000:
            await asyncio.sleep(0)
            turns += 1
        assert not writing.done()
    await asyncio.wait_for(writing, timeout=20)
    assert [one.event for one in await read(journal)] == [opened(ALICE), accepted(ALICE, 1)]
    await blocker.close()
    await journal.close()


async def test_openalgo_1119_a_database_killed_while_it_writes_is_whole_when_it_is_back(
    tmp_path: Path,
) -> None:
    """The database file was malformed after a crash."""
    async with EmbeddedPostgres(tmp_path) as server:
        database = await server.database("killed")
        await migrate(database)
        journal = await PostgresJournal.connect(database, Env.PAPER, limits=PATIENT)
        owner = await taken(journal)
        await journal.append(owner.unit(opened(ALICE)))
        writing = [journal.append(owner.place(number)) for number in range(1, 200)]
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.stop()
        await server.start()
        await asyncio.wait_for(asyncio.gather(*writing, return_exceptions=True), timeout=60)
        answered = [number for number, one in enumerate(writing, 1) if one.exception() is None]
        there = [one.event for one in await read(journal)]
        assert [accepted(ALICE, number) in there for number in answered] == [True] * len(answered)
        await journal.close()
        assert (await verify(database)).clean


async def test_freqtrade_6353_two_processes_never_write_into_one_database(database: str) -> None:
    """The database was locked while trading, by a second process on the same file."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    with pytest.raises(FenceHeld):
        await PostgresJournal.connect(database, Env.PAPER, limits=Limits(fence_s_max=0.2))
    await asyncio.wait_for(journal.append(owner.unit(opened(ALICE))), timeout=20)
    await journal.close()


async def test_openalgo_1234_no_client_can_spend_the_brokers_rate_limit_by_looking() -> None:
    """A page that polled used up the requests that orders needed."""
    asked: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        asked.append(call)
        return fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        asked.clear()
        for _ in range(500):
            assert await stage.views.order(order, (ACCOUNT,)) is not None
            assert stage.gate.limits_of(ACCOUNT) is not None
            await stage.gate.preview(TRADER, by_hand())
        assert asked == []


async def test_vnpy_webtrader_defect_9_a_token_signed_with_a_guessable_secret_opens_nothing() -> None:
    """Every installation signed its trading tokens with the same four-letter word."""
    here = await world(Env.PAPER)
    for secret in (b"test", b"secret", b""):
        signed = f"{b64(json.dumps(here.header(alg='HS256')))}.{b64(json.dumps(here.claims()))}"
        token = f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
        refused = await here.bearer.authenticate(token)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.UNAUTHENTICATED
    assert (await world(Env.PAPER)).own.kid != here.own.kid


async def refused_by(stage: Stage) -> set[str]:
    """The controls that refuse another order to buy, with their reasons."""
    answer = await stage.place(limit="4790")
    assert isinstance(answer, Answer)
    return {f"{failed.control} {failed.reason}" for failed in answer.failed}


async def engaged(stage: Stage, grade: str = "block_new") -> None:
    answer = await stage.gate.engage_kill(TRADER, grade=grade, reason="drill", correlation="test")
    assert isinstance(answer, KillView)
