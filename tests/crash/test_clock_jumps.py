"""A wall clock that jumps by an hour, or back by ten minutes, under load.

Waiting and proving run on the monotonic clock and do not notice. What is dated does: tokens end when
their time has come, prices of another time judge nobody, and ids stay unique whatever they say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ordergate.venue.faults import Fault
from tests.crash import jumping_program
from tests.crash.rounds import Rounds, rounds
from tests.dose import dose
from tests.e2e.client import Answer, Commands, Rest, lost
from tests.e2e.floor import ACCOUNT, LIMITS, Floor, repeatable

HOUR: Final = 3_600
JUMPS: Final = (600, 0, -600, HOUR, 0, -HOUR, HOUR, HOUR - 600)
UNCLEAR: Final = Fault(kind="timeout_after", scope="place", probability=0.1, seconds=0.1)


@pytest.mark.timeout(900)
async def test_a_clock_that_jumps_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with repeatable("clock jumps") as seed:
        async with rounds(tmp_path, seed, dated=False, plan=with_a_clock) as at:
            await at.it.add_fault(UNCLEAR)
            async with at.one(through=lambda way: LoggingIn(way, at.rest)) as crowd:
                for jump in JUMPS * dose(1, 20):
                    await crowd.until_bought_more(4)
                    set_clock(at.it, jump)
                    await crowd.until_bought_more(4)
                await at.it.end_faults()
                set_clock(at.it, 0)
                await at.rest.log_in()
            assert at.it.kills == 0
            await at.end()


@pytest.mark.timeout(300)
async def test_tokens_and_prices_of_another_time_are_not_believed(tmp_path: Path) -> None:
    limits = {**LIMITS, "reference_price_max_age_s": "60"}
    accounts = {ACCOUNT: {"broker": "venue", "limits": limits}}
    with repeatable("another time") as seed:
        async with rounds(
            tmp_path, seed, dated=False, plan=with_a_clock, gateway={"accounts": accounts}
        ) as at:
            await at.it.tape(paused=True)
            first = dict(at.rest.headers)
            assert (await placed(at, "now")).status == 201
            for jump in (HOUR, -HOUR):
                set_clock(at.it, jump)
                at.rest.headers = first
                if jump > 0:
                    assert (await placed(at, f"old-token{jump}")).status == 401, "its time has come"
                await at.rest.log_in()
                denied = await placed(at, f"old-price{jump}")
                assert (denied.status, denied.code) == (422, "risk-denied"), denied
                set_clock(at.it, 0)
                at.rest.headers = first
                # Counts of messages that lie in the future refuse once, in doubt, and begin anew.
                answers = [await placed(at, f"again-{number}{jump}") for number in range(2)]
                assert answers[1].status == 201, answers


class LoggingIn:
    """A way whose client fetches a new token when the old one is not believed."""

    def __init__(self, way: Commands, rest: Rest) -> None:
        self._way = way
        self._rest = rest

    async def place(self, order: Mapping[str, Any], *, key: str, wait_s: int = 0) -> Answer:
        return await self._believed(await self._way.place(order, key=key, wait_s=wait_s))

    async def cancel(self, order_id: str, *, key: str) -> Answer:
        return await self._believed(await self._way.cancel(order_id, key=key))

    async def replace(self, order_id: str, changes: Mapping[str, str], *, key: str) -> Answer:
        return await self._believed(await self._way.replace(order_id, changes, key=key))

    async def _believed(self, answer: Answer) -> Answer:
        if answer.status != 401:
            return answer
        await self._rest.log_in()
        return lost("logged in again")


def with_a_clock(it: Floor) -> None:
    """The gateway is the product with a wall clock of ours."""
    it.program = [sys.executable, jumping_program.__file__]
    it.environment["CLOCK_OFFSET"] = str(it.folder / "offset")
    set_clock(it, 0)


def set_clock(it: Floor, seconds: int) -> None:
    """So much before or behind the machine's own time, from now on."""
    draft = it.folder / "offset.new"
    draft.write_text(str(seconds), encoding="ascii")
    draft.replace(it.folder / "offset")


async def placed(at: Rounds, key: str) -> Answer:
    order = {
        "account_id": ACCOUNT,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "180.00",
        "time_in_force": "gtc",
    }
    return await at.rest.place(order, key=f"{key}-of-a-clock-test")
