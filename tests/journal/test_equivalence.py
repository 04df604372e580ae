"""Whatever is asked of both journals, in whatever order, both answer the same."""

import asyncio
import itertools
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ordergate.core.ids import AccountId, Env
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_views import MemoryViews
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.views import PostgresViews
from ordergate.ports.journal import Journal, Unit
from ordergate.ports.views import OrderQuery, Views
from tests.dose import dose
from tests.journal.making import Owner, accepted, opened, order, order_row, read, receipt, row

EXAMPLES: Final = itertools.count(1)


class Place(msgspec.Struct, frozen=True):
    """`wrong` shifts the expected head; `stale` speaks under the epoch before."""

    account: int
    number: int
    key: int | None
    label: int | None
    status: str
    execution: int | None
    wrong: int = 0
    stale: bool = False


class Take(msgspec.Struct, frozen=True):
    account: int


PLACES: Final = st.builds(
    Place,
    account=st.integers(0, 2),
    number=st.integers(1, 4),
    key=st.none() | st.integers(1, 5),
    label=st.none() | st.integers(1, 4),
    status=st.sampled_from(("accepted", "working", "filled")),
    execution=st.none() | st.integers(1, 3),
    wrong=st.sampled_from((0, 0, 0, 0, 0, 0, -1, 2)),
    stale=st.sampled_from((False, False, False, False, False, True)),
)
# Each inner list is asked at once, before any answer.
ROUNDS: Final = st.lists(
    st.lists(PLACES | st.builds(Take, account=st.integers(0, 2)), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


class Side:
    """One journal with its views and an owner for each of the three accounts.

    Keys are each account's own: of two accounts that ask with one key at once, either may get it.
    """

    def __init__(self, journal: Journal, views: Views, accounts: list[AccountId]) -> None:
        self.journal = journal
        self.views = views
        self.owners = [Owner(journal, account) for account in accounts]
        self._labels: dict[tuple[AccountId, int], str | None] = {}

    async def play(self, rounds: list[list[Place | Take]]) -> list[Any]:
        answers: list[Any] = []
        for owner in self.owners:
            answers.append((await owner.take()).epoch)
            await self.journal.append(owner.unit(opened(owner.account)))
        for asked in rounds:
            pending = [self._ask(one) for one in asked]
            results = await asyncio.gather(*pending, return_exceptions=True)
            answers.append([type(one) if isinstance(one, BaseException) else one for one in results])
        return answers

    def _ask(self, asked: Place | Take) -> asyncio.Future[Any]:
        owner = self.owners[asked.account]
        if isinstance(asked, Take):
            return asyncio.ensure_future(self._take(owner))
        return self.journal.append(self._unit(owner, asked))

    async def _take(self, owner: Owner) -> tuple[int, int]:
        taken = await owner.take()
        return taken.epoch, taken.head

    def _unit(self, owner: Owner, asked: Place) -> Unit:
        owner.head += asked.wrong
        label = None if asked.label is None else f"label-{asked.label}"
        # An order keeps the label that it was first written with.
        label = self._labels.setdefault((owner.account, asked.number), label)
        one = order_row(
            owner.account,
            asked.number,
            status=asked.status,
            open=asked.status != "filled",
            client_order_id=label,
        )
        executions = () if asked.execution is None else (row(f"x{asked.execution}", f"{asked}"),)
        unit = owner.unit(
            accepted(owner.account, asked.number),
            orders=(one,),
            executions=executions,
            positions=(row("ES", f"{asked}"),),
            balances=(row("USD", f"{owner.head}"),),
            receipt=None
            if asked.key is None
            else receipt(owner.account, f"key-{owner.account}-{asked.key}-long-enough", number=asked.number),
        )
        return msgspec.structs.replace(unit, epoch=unit.epoch - asked.stale)

    async def everything(self) -> list[Any]:
        """All that can be read of the three accounts."""
        seen: list[Any] = []
        for owner in self.owners:
            account, views = owner.account, self.views
            snapshot = await views.snapshot(account)
            assert snapshot is not None
            seen += [
                await read(self.journal, account),
                (snapshot.seq, snapshot.orders, snapshot.positions, snapshot.balances),
                await views.orders(OrderQuery(accounts=(account,), limit=3)),
                await views.executions(account, limit=2, after=None),
                await views.frames(account, after=0, upto=100, limit=100),
                await views.order_by_client_id(account, "label-1"),
                await views.order_events(order(1), [account]),
                await self.journal.key_digests(account),
            ]
        everyone = tuple(owner.account for owner in self.owners)
        return [*seen, await self.views.orders(OrderQuery(accounts=everyone, limit=5, open=True))]


@settings(
    max_examples=dose(60, 1_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=ROUNDS)
async def test_memory_and_postgres_answer_alike(database: str, rounds: list[list[Place | Take]]) -> None:
    example = next(EXAMPLES)
    accounts = [AccountId(f"P-e{example}n{number}") for number in range(3)]
    memory = MemoryJournal(Env.PAPER)
    postgres = await PostgresJournal.connect(database, Env.PAPER)
    views = await PostgresViews.connect(database)
    try:
        sides = (
            Side(memory, MemoryViews(memory), accounts),
            Side(postgres, views, accounts),
        )
        played = [await side.play(rounds) for side in sides]
        assert played[0] == played[1]
        seen = [await side.everything() for side in sides]
        assert seen[0] == seen[1]
    finally:
        await views.close()
        await postgres.close()
