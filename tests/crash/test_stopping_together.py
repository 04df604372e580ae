"""Two gateways of one environment, each with a database and a broker of its own, stop together.

Their way to each other is a third database on the same server, the second one's through a wire that can be
cut. The local way to stop is shown with nobody to log in to and no way to the API.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.venue.words import FINAL
from ordergate.wiring.gateway import migrate_all
from tests.crash.wire import Wire
from tests.e2e.client import Answer, Rest
from tests.e2e.floor import ACCOUNT, Floor, floor, repeatable
from tests.e2e.pacing import PACE

WAIT_S_MAX: Final = 30.0
ACCEPTED: Final = 201
_keys: Final = itertools.count(1)


@pytest.mark.timeout(300)
async def test_what_is_stopped_at_one_is_refused_at_the_other_and_one_that_cannot_hear_refuses_by_itself(
    tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    with repeatable("together") as seed:
        async with Wire(seed) as wire, two(tmp_path, postgres, wire) as (east, west):
            assert (await place(west)).status == ACCEPTED
            order = (await place(west)).order["id"]
            await engage(east, "cancel_all")
            denied = await until_denied(west)
            assert denied.body["failed_controls"][0]["control"] == "R01", denied
            stops = (await west.get("/v1/kill-switch"))["stops"]
            assert [(one["grade"], one["reason"]) for one in stops] == [("cancel_all", "together")]
            await until_closed(west, order)
            for one in (east, west):
                await release(one)
            await until_taken(west)

            wire.refusing = True
            wire.cut()
            await until_denied(west)
            assert "has not been heard" in (await west.get("/v1/kill-switch"))["deaf"]
            assert (await place(east)).status == ACCEPTED, "who hears the others goes on"
            wire.heal()
            await until_taken(west)


@pytest.mark.timeout(300)
async def test_a_stop_raised_on_the_machine_bites_with_no_api_and_nobody_to_log_in_to(
    tmp_path: Path,
) -> None:
    nobody = {"name": "gone", "issuer": "http://127.0.0.1:9", "audience": "ordergate"}
    with repeatable("local") as seed:
        async with Wire(seed) as wire:

            def plan(it: Floor) -> None:
                wire.target = ("127.0.0.1", it.port)
                it.door = wire.port

            async with floor(tmp_path, plan=plan, gateway={"issuers": [nobody]}) as it:
                rest = Rest(it)
                await rest.log_in()
                await until_taken(rest)
                assert (await it.ledger()).orders
                wire.refusing = True
                wire.cut()
                assert (await place(rest)).status == 0, "the API is away"
                words = ("kill", "engage", "--local", "--grade", "cancel_all", "--reason", "all is down")
                await it.command(*words)
                async with asyncio.timeout(WAIT_S_MAX):
                    while any(one.status not in FINAL for one in (await it.ledger()).orders):
                        await PACE.sleep(0.05)
                wire.heal()
                assert (await until_denied(rest)).body["failed_controls"][0]["control"] == "R01"


@asynccontextmanager
async def two(folder: Path, postgres: EmbeddedPostgres, wire: Wire) -> AsyncIterator[tuple[Rest, Rest]]:
    """East and west, ready to trade; west hears of the other through the wire."""
    wire.target = postgres.socket
    together = f"together_{next(_keys)}"
    await migrate_all(await postgres.database(together))
    shared = {
        "east": postgres.dsn(together),
        "west": f"postgresql://ordergate@127.0.0.1:{wire.port}/{together}?sslmode=disable",
    }
    async with AsyncExitStack() as stack:
        found = []
        for name, address in shared.items():
            own = await postgres.database(f"{together}_{name}")
            await migrate_all(own)
            (folder / name).mkdir()
            gateway = {
                "database_url": {"file": written(folder / name / "own", own)},
                "kill_switch": {
                    "two_persons": False,
                    "shared_database_url": {"file": written(folder / name / "shared", address)},
                },
            }
            rest = Rest(await stack.enter_async_context(floor(folder / name, gateway=gateway)))
            await rest.log_in()
            await until_taken(rest)
            found.append(rest)
        yield found[0], found[1]


def written(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return str(file)


async def place(rest: Rest) -> Answer:
    order = {
        "account_id": ACCOUNT,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "185.00",
        "time_in_force": "gtc",
    }
    return await rest.place(order, key=f"stopping-together-{next(_keys):06}")


async def until_denied(rest: Rest) -> Answer:
    answer = await place(rest)
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            while answer.code != "risk-denied":
                await PACE.sleep(0.05)
                answer = await place(rest)
    except TimeoutError as error:
        raise AssertionError(f"orders are not refused: {answer}") from error
    return answer


async def until_taken(rest: Rest) -> None:
    answer = await place(rest)
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            while answer.status != ACCEPTED:
                await PACE.sleep(0.1)
                answer = await place(rest)
    except TimeoutError as error:
        raise AssertionError(f"orders are not taken: {answer}") from error


async def until_closed(rest: Rest, order: str) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while (await rest.get(f"/v1/orders/{order}"))["status"] != "canceled":
            await PACE.sleep(0.05)


async def engage(rest: Rest, grade: str) -> None:
    await _kill(rest, "", {"grade": grade, "reason": "together"})


async def release(rest: Rest) -> None:
    await _kill(rest, "/release", {"reason": "over"})


async def _kill(rest: Rest, what: str, body: dict[str, Any]) -> None:
    key = f"stopping-together-{next(_keys):06}"
    answer = await rest.ask("POST", f"/v1/kill-switch{what}", key=key, body=body)
    assert answer.status == 200, answer
