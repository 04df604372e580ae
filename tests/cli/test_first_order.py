"""The first order that anybody places: it joins the recorded queue, fills in parts, outlasts a restart."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.cli.asking import Desk
from tests.cli.watching import Watching
from tests.fixtures.house import House, house

ROUNDS_MAX = 400
STEPS = 25


def tape(home: House, **command: Any) -> None:
    """Hold the recorded day, or let it go on by so many packets."""
    told = httpx.post(
        f"{home.running['venue_url']}/_admin/tape",
        json={"symbol": "ESH4", **command},
        headers={"authorization": f"Bearer {home.venue_admin_token}"},
        timeout=60,
    )
    told.raise_for_status()


def best_ask(home: House) -> str:
    keys = {
        "APCA-API-KEY-ID": home.running["venue_key"],
        "APCA-API-SECRET-KEY": home.running["venue_secret"],
    }
    url = f"{home.running['venue_url']}/v2/stocks/quotes/latest"
    quote = httpx.get(url, params={"symbols": "ESH4"}, headers=keys, timeout=60).json()["quotes"]["ESH4"]
    return str(quote["ap"])


def test_a_sale_waits_in_the_recorded_queue_fills_in_parts_and_is_there_after_a_restart(
    tmp_path: Path, shared_dir: Path
) -> None:
    with house(tmp_path, recorded=str(shared_dir / "data")) as home:
        tape(home, paused=True)
        desk = Desk(home)
        watching = Watching(desk, "--json", "--after", "0")
        try:
            order = desk.place("ESH4", "sell", "20", "--limit", best_ask(home), "--wait", "10")
            assert (order["status"], order["cum_qty"]) == ("working", "0")
            for _ in range(ROUNDS_MAX):
                tape(home, steps=STEPS)
                shown = desk.get("orders", "show", order["id"])
                if shown["status"] == "filled":
                    break
            part = watching.event("order_partially_filled", order["id"])["order"]
            whole = watching.event("order_filled", order["id"])["order"]
        finally:
            watching.stop()
        assert 0 < Decimal(part["cum_qty"]) < 20
        assert (whole["cum_qty"], whole["leaves_qty"]) == ("20", "0")
        events = desk.get("orders", "events", order["id"])

        home.restart()
        assert desk.get("orders", "show", order["id"])["status"] == "filled"
        assert desk.get("orders", "events", order["id"]) == events
        (held,) = desk.get("positions")["positions"]
        assert (held["symbol"], held["quantity"]) == ("ESH4", "-20")
