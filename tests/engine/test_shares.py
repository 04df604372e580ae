"""One account's storm fills its own part of what all share, and no other account's."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.engine.accounts.shares import TOO_MUCH_WAITS, Shares
from ordergate.engine.answering.answers import Answer
from tests.engine.groups import bracket, oco
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

QUIET = AccountId("P-QUIET")
BOTH = msgspec.structs.replace(TRADER, accounts=frozenset({ACCOUNT, QUIET}))


def order_of(account: AccountId) -> Terms:
    return Terms(
        account=account,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(4700),
        time_in_force=TimeInForce.GTC,
    )


class Asked:
    """Orders that are decided in the very turn in which they are asked for, and what is told of each."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.told: list[Answer | Refusal | None] = []

    def place(self, account: AccountId) -> Refusal | None:
        """What is refused at once; None where the answer waits for the commit."""
        before = len(self.told)
        taken = self._stage.gate.place_now(
            BOTH, order_of(account), key=self._stage.key(), correlation="test", tell=self.told.append
        )
        assert taken
        told = self.told[before:]
        assert len(told) < 2
        assert not told or isinstance(told[0], Refusal)
        return told[0] if told else None  # type: ignore[return-value]  # as just looked at

    def storm(self, account: AccountId) -> int:
        """How many are taken before one is refused."""
        taken = 0
        while (no := self.place(account)) is None:
            taken += 1
        assert no is TOO_MUCH_WAITS
        return taken


async def test_tm20_while_nothing_is_written_a_storm_leaves_others_their_room_in_the_same_turn() -> None:
    async with Stage(others=[QUIET], room=300) as stage:
        working = await stage.accepted()
        await stage.until(lambda: stage.status(working) == "working")
        stage.journal.hold()
        asked = Asked(stage)

        assert asked.storm(ACCOUNT) == 100
        assert asked.place(QUIET) is None
        assert asked.storm(QUIET) == 66

        # What takes back, and what the account is told of itself, goes on.
        canceled = asyncio.create_task(stage.gate.cancel(BOTH, working, key=stage.key(), correlation="test"))
        await asyncio.sleep(0)
        assert asked.place(ACCOUNT) is TOO_MUCH_WAITS
        assert stage.gate.readiness() == {}

        stage.journal.release()
        assert isinstance(await canceled, Answer)
        await stage.until(lambda: asked.told.count(TOO_MUCH_WAITS) + 167 == len(asked.told))
        assert asked.place(ACCOUNT) is None


async def test_tm20_a_broker_that_does_not_answer_fills_the_part_of_its_account_alone() -> None:
    async with Stage(others=[QUIET], questions_max=30, latency_s=0.1) as stage:  # time stands still
        asked = Asked(stage)
        for _ in range(40):
            asked.place(ACCOUNT)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        assert asked.told.count(TOO_MUCH_WAITS) > 0
        assert asked.place(ACCOUNT) is TOO_MUCH_WAITS
        assert asked.place(QUIET) is None


async def test_a_group_waits_for_room_to_be_sent_as_an_order_does() -> None:
    async with Stage(questions_max=30, latency_s=0.1) as stage:  # time stands still
        asked = Asked(stage)
        for _ in range(40):
            asked.place(ACCOUNT)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        refused = await stage.node.groups.place(BOTH, bracket(), key=stage.key(), correlation="test")

        assert refused is TOO_MUCH_WAITS


async def test_replacing_and_groups_are_held_to_the_same_part() -> None:
    async with Stage(room=300) as stage:
        working = await stage.accepted()
        await stage.until(lambda: stage.status(working) == "working")
        stage.journal.hold()
        Asked(stage).storm(ACCOUNT)

        refused = [
            await stage.gate.replace(
                BOTH,
                working,
                quantity=Decimal(2),
                limit_price=None,
                stop_price=None,
                key=stage.key(),
                correlation="test",
            ),
            await stage.node.groups.place(BOTH, oco(), key=stage.key(), correlation="test"),
        ]

        assert refused == [TOO_MUCH_WAITS, TOO_MUCH_WAITS]
        stage.journal.release()


@pytest.mark.parametrize("accounts", [1, 2, 5, 10])
def test_however_many_fill_their_parts_the_next_one_finds_room(accounts: int) -> None:
    shares = Shares(10_000)
    for number in range(accounts):
        account = AccountId(f"P-{number}")
        while not shares.is_full_for(account):
            shares.take(account)
    late = AccountId("P-LATE")
    assert not shares.is_full_for(late)

    shares.take(late)
    shares.give_back(late)
    for _ in range(3_000):
        shares.give_back(AccountId("P-0"))
    assert not shares.is_full_for(AccountId("P-0"))
