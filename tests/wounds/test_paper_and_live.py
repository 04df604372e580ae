"""Paper that was not paper: orders that reached real money, and fills that no market would give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from ordergate.brokers._shared.hosts import ForeignHost
from ordergate.brokers.alpaca.access import Keys, paper
from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.brokers.alpaca.live import live
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env, Paper, parse_cl_ord_id
from ordergate.core.refusals import Code, Refusal
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.broker import BrokerAccount, BrokerUnavailable
from ordergate.telemetry.secret import Secret
from ordergate.wiring import checkup
from ordergate.wiring.brokerages import named_in
from ordergate.wiring.secret_sources import SecretSource
from ordergate.wiring.settings import BrokerSettings, CannotStart, load
from tests.brokers.sockets import byte_server, says
from tests.brokers.world import FixedChance, HandClock, our_id
from tests.engine.stage import ACCOUNT, Stage
from tests.security.world import world
from tests.venue.pit import Pit
from tests.wounds.scenes import open_breaks

KEYS = Keys(Env.PAPER, Secret("key"), Secret("secret"))
REAL = Keys(Env.LIVE, Secret("key"), Secret("secret"))


def test_openalgo_defect_4_an_environment_is_written_down_and_never_assumed(tmp_path: Path) -> None:
    """Paper or live was one switch for everything, and a fresh installation stood on live."""
    settings = tmp_path / "ordergate.yaml"
    settings.write_text("data_dir: data\nbrokers: {}\naccounts: {}\ninstruments: []\n", encoding="utf-8")
    with pytest.raises(CannotStart, match="environment"):
        load(settings)


def test_openalgo_defect_4_no_setting_turns_a_paper_gateway_to_the_live_host() -> None:
    """The switch was kept for an hour by every process: some went on trading live."""
    with pytest.raises(ForeignHost):
        paper(KEYS, trading_url="https://api.alpaca.markets")
    with pytest.raises(ForeignHost):
        paper(
            KEYS,
            trading_url="https://api.alpaca.markets",
            allowed_hosts=frozenset({"api.alpaca.markets"}),
        )
    assert paper(KEYS).trading.host != live(REAL).trading.host


async def test_openalgo_1055_a_token_for_live_opens_nothing_in_paper() -> None:
    """Orders went to the live market although the sandbox was on."""
    real, sandbox = await world(Env.LIVE), await world(Env.PAPER)
    for token in (
        await real.token(),
        sandbox.sign(sandbox.claims(env="live")),
        sandbox.sign(sandbox.claims(acct=["L-alpha"])),
    ):
        refused = await sandbox.bearer.authenticate(token)
        assert isinstance(refused, Refusal), token
        assert refused.code is Code.UNAUTHENTICATED


async def test_openalgo_1055_a_database_of_one_environment_is_of_no_use_to_the_other(database: str) -> None:
    """One layer down: what one environment has written, the other cannot carry on."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    await journal.close()
    with pytest.raises(JournalUnavailable):
        await PostgresJournal.connect(database, Env.LIVE)


def saying(no: BrokerUnavailable) -> Callable[[PaperBroker[Paper]], Awaitable[BrokerAccount]]:
    """A twin whose account cannot be asked for."""

    async def account(_: PaperBroker[Paper]) -> BrokerAccount:
        raise no

    return account


async def test_openalgo_1391_what_live_does_not_let_in_is_said_at_start_and_no_order_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What worked in the sandbox was answered 401 by the live broker, at the first order."""
    async with byte_server(says(401, {"message": "unauthorized."})) as server:
        broker = AlpacaBroker(
            msgspec.structs.replace(live(REAL), trading=URL(server.url)),
            AccountId("L-TEST"),
            clock=HandClock(),
            chance=FixedChance(),
        )
        with pytest.raises(BrokerUnavailable) as refused:
            await broker.account()
        await broker.close()
    no = refused.value
    assert str(no) == "status 401: the broker does not let this login in; look at its credentials"
    monkeypatch.setattr(PaperBroker, "account", saying(no))
    stage = Stage()
    await stage.start(ready=False)
    said = {f"account {ACCOUNT}": f"waiting for the broker's figures: {no}"}
    await stage.until(lambda: stage.gate.readiness() == said)
    order = await stage.place()
    assert isinstance(order, Refusal)
    assert (order.code, order.detail) == (Code.NOT_READY, f"waiting for the broker's figures: {no}")
    assert stage.placed_at_exchange() == 0
    await stage.crash()


async def test_openalgo_1391_what_is_let_in_no_more_after_a_restart_is_said_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account is in the books by then; the reason says what the broker says, not only that it waits."""
    async with Stage() as stage:
        no = BrokerUnavailable("status 401: the broker does not let this login in; look at its credentials")
        monkeypatch.setattr(PaperBroker, "account", saying(no))
        await stage.crash()
        await stage.start(ready=False)
        said = {f"account {ACCOUNT}": f"not reconciled with the broker yet: {no}"}
        await stage.until(lambda: stage.gate.readiness() == said)


def test_openalgo_1391_a_credential_that_is_missing_in_live_keeps_the_gateway_from_starting() -> None:
    """A variable that is set where one practises and not where one trades is named at once."""
    login = BrokerSettings(
        key=SecretSource(environment="OG_NO_SUCH_KEY"), secret=SecretSource(environment="OG_NO_SUCH_SECRET")
    )
    with pytest.raises(CannotStart, match="set the environment variable OG_NO_SUCH_KEY"):
        named_in(Env.LIVE, login)


async def test_openalgo_1391_the_doctor_says_the_same_in_a_sentence() -> None:
    """Whoever looks before the first order is told which account waits, and for what."""
    why = "account L-DESK: waiting for the broker's figures: status 401: the broker says no"
    ready = says(503, {"status": "not ready", "reasons": dict([why.split(": ", 1)])})
    async with byte_server(says(200, {"status": "alive"}), ready) as server:
        alive = await asyncio.to_thread(httpx.get, f"{server.url}/livez")
        found = await asyncio.to_thread(checkup.gateway, server.url, alive)
    assert (found.verdict, found.words) == (checkup.Verdict.BAD, f"alive, but not ready: {why}")


def test_openalgo_1949_the_environment_is_in_every_id_and_no_label() -> None:
    """A review found that sandbox mode was no more than a label."""
    ours = our_id(1, env=Env.PAPER)
    assert parse_cl_ord_id(Env.PAPER, ours) is not None
    assert parse_cl_ord_id(Env.LIVE, ours) is None


async def test_openalgo_1055_a_session_that_turns_out_to_be_another_account_is_a_break() -> None:
    """Behind all else: the account that a session really is in is compared with the one that was meant."""
    async with Stage() as stage:
        stage.broker.account_number = "SOMEBODY-ELSES"
        await stage.until(lambda: "environment" in open_breaks(stage), within_s=120)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 20),
        st.none() | st.integers(18_990, 19_010),
    ),
    max_size=40,
)


@given(ORDERS)
def test_openalgo_1318_no_order_is_filled_at_a_price_worse_than_its_limit(
    orders: list[tuple[str, str, int, int | None]],
) -> None:
    """Limit orders in the sandbox were filled at prices that they had excluded."""
    pit = Pit()
    for account, side, quantity, cents in orders:
        price = "" if cents is None else f" {Decimal(cents) / 100}"
        pit.submit(account, f"{side} {quantity} AAPL{price}")
    for account in ("ann", "bob"):
        tickets = {order.id: order.ticket for order in pit.exchange.orders(account)}
        for execution in pit.exchange.executions(account):
            ticket = tickets[execution.order_id]
            if ticket.limit_price is None:
                continue
            worse = execution.price - ticket.limit_price
            assert (worse if ticket.side == "buy" else -worse) <= 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 400))
def test_alpaca_api_5_no_order_gets_more_than_is_shown(sizes: list[int], wanted: int) -> None:
    """Simulated fills were asked for that respect the displayed size, and the queue."""
    pit = Pit()
    makers = [pit.submit("bob", f"sell {size} AAPL 190.00") for size in sizes]
    order = pit.submit("ann", f"buy {wanted} AAPL 190.00")
    assert order.filled_qty == min(wanted, sum(sizes))
    in_turn = [pit.now(maker).filled_qty for maker in makers]
    left = wanted
    for size, got in zip(sizes, in_turn, strict=True):
        assert got == min(left, size)
        left -= int(got)


def test_freqtrade_12454_a_market_order_pays_for_its_size() -> None:
    """Dry runs took no account of slippage and of the depth of the book."""
    pit = Pit()
    for cents in range(5):
        pit.submit("bob", f"sell 10 AAPL 190.0{cents}")
    order = pit.submit("ann", "buy 45 AAPL")
    assert order.filled_qty == 45
    assert order.filled_avg_price == (10 * 4 * Decimal("190.015") + 5 * Decimal("190.04")) / 45


def test_freqtrade_3389_what_the_book_does_not_hold_is_not_filled() -> None:
    """Asked before: how true is a dry run that sells what the book does not hold?"""
    pit = Pit()
    pit.submit("bob", "sell 10 AAPL 190.00")
    order = pit.submit("ann", "buy 45 AAPL")
    assert (order.status, order.filled_qty) == ("canceled", Decimal(10))
