"""The in-memory twin and PostgreSQL keep the same promises."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ordergate.core.ids import Env, Paper
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_views import MemoryViews
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.views import PostgresViews
from ordergate.journal.writer import Limits
from ordergate.ports.journal import Journal
from tests.journal.conformance import JournalConformance, Twin
from tests.journal.snapshots_conformance import SnapshotsConformance
from tests.journal.views_conformance import ViewsConformance


class InMemory:
    @pytest.fixture
    def twin(self) -> Twin:
        journal = MemoryJournal(Env.PAPER)

        async def cramped(units: int) -> Journal:
            return MemoryJournal(Env.PAPER, queued_units_max=units)

        return Twin(journal, MemoryViews(journal), cramped)


class OnPostgres:
    @pytest_asyncio.fixture
    async def twin(self, database: str) -> AsyncIterator[Twin]:
        journals: list[PostgresJournal[Paper]] = []

        async def opened(units: int) -> PostgresJournal[Paper]:
            limits = Limits(queued_units_max=units)
            journals.append(await PostgresJournal.connect(database, Env.PAPER, limits=limits))
            return journals[-1]

        journal = await opened(1_000)
        views = await PostgresViews.connect(database)

        async def cramped(units: int) -> Journal:
            await journal.close()  # one gateway per database: this one makes room
            return await opened(units)

        yield Twin(journal, views, cramped)
        await views.close()
        for one in journals:
            await one.close()


class TestMemoryJournal(InMemory, JournalConformance): ...


class TestPostgresJournal(OnPostgres, JournalConformance): ...


class TestMemorySnapshots(InMemory, SnapshotsConformance): ...


class TestPostgresSnapshots(OnPostgres, SnapshotsConformance): ...


class TestMemoryViews(InMemory, ViewsConformance): ...


class TestPostgresViews(OnPostgres, ViewsConformance): ...
