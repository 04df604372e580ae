"""The venue as a server: starts, says why it cannot, stops when told, and is itself again afterwards."""

import asyncio
import os
import signal
import socket
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.json import encode
from msgspec.structs import replace

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces.admin import AccountLedger
from ordergate.venue.faces.alpaca import requests
from ordergate.venue.server import LOG_NAME, VenueCannotStart, running
from ordergate.venue.settings import (
    CsvTapeSettings,
    DbnTapeSettings,
    SyntheticTapeSettings,
    VenueSettings,
)
from ordergate.venue.state import FileLog
from ordergate.venue.words import Ticket
from tests.venue.listings import NOON
from tests.venue_alpaca import floor
from tests.venue_alpaca.floor import ACME, ADMIN_TOKEN, EMINI, SETTINGS, limit_order

PATIENCE_S = 20.0
SYNTHETIC = SyntheticTapeSettings(symbol=EMINI, price=Decimal(4800))


def ledger(base_url: str, account: str = "alice") -> AccountLedger:
    with floor.admin(base_url) as admin:
        return msgspec.json.decode(admin.get(f"/ledger/{account}").content, type=AccountLedger)


def trade_a_little(base_url: str) -> None:
    with floor.http(base_url, floor.BOB) as bob, floor.http(base_url) as alice:
        for client, terms in (
            (bob, limit_order("b1", side="sell", qty="25", limit_price="10.01")),
            (alice, limit_order("a1", limit_price="10.01", time_in_force="gtc")),
            (alice, limit_order("a2", limit_price="9.00", time_in_force="gtc")),
            (alice, limit_order("a3", limit_price="8.00")),
        ):
            assert client.post("/v2/orders", json=terms).status_code == 200
        order = alice.get("/v2/orders:by_client_order_id", params={"client_order_id": "a3"}).json()
        assert alice.delete(f"/v2/orders/{order['id']}").status_code == 204


def test_a_restarted_venue_is_what_it_was(tmp_path: Path) -> None:
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue:
        trade_a_little(venue.base_url)
        before = ledger(venue.base_url)
        with floor.http(venue.base_url) as alice:
            fills = alice.get("/v2/account/activities/FILL").json()
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue:
        after = ledger(venue.base_url)
        assert (after.orders, after.executions) == (before.orders, before.executions)
        assert after.account.cash == before.account.cash
        assert [(held.symbol, held.qty) for held in after.positions] == [(ACME, Decimal(10))]
        with floor.http(venue.base_url) as alice:
            assert alice.get("/v2/account/activities/FILL").json() == fills
            assert alice.post("/v2/orders", json=limit_order("a1")).status_code == 422
            assert [order["client_order_id"] for order in alice.get("/v2/orders").json()] == ["a2"]


def test_a_restarted_venue_ends_the_day_orders_of_earlier_days(tmp_path: Path) -> None:
    earlier = Exchange(SETTINGS.listings, log=FileLog(tmp_path / LOG_NAME))
    earlier.open_account("alice", Decimal(100_000), NOON)
    for force in ("day", "gtc"):
        body = encode(limit_order(force, limit_price="9.00", time_in_force=force))
        ticket = requests.place(body, str)
        assert isinstance(ticket, Ticket)
        earlier.submit("alice", ticket, NOON)
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue:
        statuses = [order.status for order in ledger(venue.base_url).orders]
    assert statuses == ["expired", "new"]


def test_a_decision_log_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).mkdir()
    with pytest.raises(VenueCannotStart, match="let it read"), floor.venue_on_a_thread(data_dir=tmp_path):
        pass


def test_a_state_folder_serves_one_venue_at_a_time(tmp_path: Path) -> None:
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue:
        with (
            pytest.raises(VenueCannotStart, match="another venue is using"),
            floor.venue_on_a_thread(data_dir=tmp_path),
        ):
            pass
        assert ledger(venue.base_url).orders == []
    with floor.venue_on_a_thread(data_dir=tmp_path):
        pass


def test_what_is_in_the_way_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VenueCannotStart, match="choose another port"), floor.venue_on_a_thread(port=port):
            pass
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(VenueCannotStart, match="cannot write to"),
        floor.venue_on_a_thread(data_dir=tmp_path / "file"),
    ):
        pass
    (tmp_path / LOG_NAME).write_text("rubbish\nmore rubbish\n")
    with pytest.raises(VenueCannotStart, match="to start afresh"), floor.venue_on_a_thread(data_dir=tmp_path):
        pass


@pytest.mark.parametrize("other", [{"tick": Decimal(2)}, {"lot": Decimal(3)}])
def test_a_listing_may_not_change_so_that_an_open_order_is_off_it(
    tmp_path: Path, other: dict[str, Decimal]
) -> None:
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue, floor.http(venue.base_url) as alice:
        terms = limit_order("a", qty="10", limit_price="9.00", time_in_force="gtc")
        assert alice.post("/v2/orders", json=terms).status_code == 200
    changed = tuple(replace(listing, **other) for listing in SETTINGS.listings)
    with (
        pytest.raises(VenueCannotStart, match="an open order in ACME is off its tick or lot"),
        floor.venue_on_a_thread(data_dir=tmp_path, listings=changed),
    ):
        pass


def test_a_listing_that_was_traded_may_not_vanish(tmp_path: Path) -> None:
    with floor.venue_on_a_thread(data_dir=tmp_path) as venue:
        trade_a_little(venue.base_url)
    kept = tuple(listing for listing in SETTINGS.listings if listing.symbol != ACME)
    with (
        pytest.raises(VenueCannotStart, match="remembers orders in ACME"),
        floor.venue_on_a_thread(data_dir=tmp_path, listings=kept),
    ):
        pass


@pytest.mark.parametrize(
    "tape",
    [
        DbnTapeSettings(symbol=EMINI, paths=(Path("/nonexistent/tape.dbn.zst"),)),
        CsvTapeSettings(symbol=EMINI),
        replace(SYNTHETIC, symbol="NOSUCH"),
        replace(SYNTHETIC, lots=0),
    ],
)
def test_a_tape_that_cannot_be_played_keeps_the_venue_from_starting(tape: Any) -> None:
    with pytest.raises(VenueCannotStart, match="tape"), floor.venue_on_a_thread(tapes=(tape,)):
        pass


def test_a_paused_tape_is_played_step_by_step() -> None:
    with (
        floor.venue_on_a_thread(tapes=(SYNTHETIC,), paused=True) as venue,
        floor.admin(venue.base_url) as admin,
    ):
        (begun,) = admin.get("/tape").json()
        assert begun["paused"] is True
        (stepped,) = admin.post("/tape", json={"steps": 500}).json()
        assert stepped["played"] == begun["played"] + 500
        with floor.http(venue.base_url) as alice:
            quote = alice.get("/v2/stocks/quotes/latest", params={"symbols": EMINI}).json()["quotes"][EMINI]
            assert 0 < quote["bp"] < quote["ap"]
            trade = alice.get("/v2/stocks/trades/latest", params={"symbols": EMINI}).json()["trades"][EMINI]
            assert trade["s"] >= 1
            order = limit_order("taker", symbol=EMINI, type="market", qty="1", limit_price=None)
            assert alice.post("/v2/orders", json=order).json()["status"] == "filled"
        assert admin.post("/tape", json={"symbol": "NOSUCH", "steps": 1}).status_code == 422
        assert admin.post("/tape", json={"speed": -1}).status_code == 422
        assert admin.post("/tape", json={"speed": 5, "symbol": EMINI}).json()[0]["speed"] == 5


async def test_a_running_tape_moves_by_itself() -> None:
    async with (
        running(replace(SETTINGS, tapes=(SYNTHETIC,), speed=1000.0)) as venue,
        httpx.AsyncClient(
            base_url=venue.base_url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        ) as admin,
        asyncio.timeout(PATIENCE_S),
    ):
        (first,) = (await admin.get("/_admin/tape")).json()
        while (await admin.get("/_admin/tape")).json()[0]["played"] < first["played"] + 100:
            pass


@asynccontextmanager
async def venue_process(
    settings: VenueSettings, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The venue in a process of its own, as `ordergate venue` would run it."""
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings, enc_hook=str))
    program = """
        import asyncio, sys, pathlib, msgspec
        from ordergate.venue.server import serve
        from ordergate.venue.settings import VenueSettings

        def path(kind, value):
            return pathlib.Path(value)

        text = pathlib.Path(sys.argv[1]).read_bytes()
        settings = msgspec.json.decode(text, type=VenueSettings, dec_hook=path)
        asyncio.run(serve(settings, ready=lambda url: print(url, flush=True)))
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(program),
        str(folder / "settings.json"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            base_url = (await process.stdout.readline()).decode().strip()
        yield process, base_url
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_venue_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with venue_process(SETTINGS, tmp_path) as (process, base_url):
        await asyncio.to_thread(trade_a_little, base_url)
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0


async def test_a_killed_venue_forgets_nothing_it_has_said(tmp_path: Path) -> None:
    settings = replace(SETTINGS, data_dir=tmp_path / "state")
    async with venue_process(settings, tmp_path) as (process, base_url):
        await asyncio.to_thread(trade_a_little, base_url)
        before = await asyncio.to_thread(ledger, base_url)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with venue_process(settings, tmp_path) as (_, base_url):
        after = await asyncio.to_thread(ledger, base_url)
        assert (after.orders, after.executions) == (before.orders, before.executions)
        assert after.account.cash == before.account.cash
