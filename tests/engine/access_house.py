"""The desk for roles and programs' keys, over a store and a journal that outlive it."""

from __future__ import annotations

from ordergate.core.ids import Env
from ordergate.engine.desks.access_desk import AccessDesk
from ordergate.engine.supervisor import Supervisor
from ordergate.journal.memory import MemoryJournal
from ordergate.security.directory import Directory
from ordergate.security.memory import MemoryStore
from ordergate.security.programs import Programs
from tests.engine.stage import CountingChance, HandClock, Listener, let_run


class AccessHouse:
    def __init__(self, env: Env = Env.PAPER) -> None:
        self.env = env
        self.clock = HandClock()
        self.store = MemoryStore(env)
        self.journal = MemoryJournal(Env.LIVE) if env is Env.LIVE else MemoryJournal(Env.PAPER)

    async def open(self) -> None:
        self.book = Directory(self.env, self.store, self.clock)
        await self.book.refresh()
        self.access = AccessDesk(
            self.env,
            self.book,
            Programs(self.book),
            journal=self.journal,
            audience=Listener(),
            clock=self.clock,
            chance=CountingChance(),
        )
        self.parts = Supervisor(self.clock)
        self.parts.keep("access", self.access.keep)
        await let_run()
