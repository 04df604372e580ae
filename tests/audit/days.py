"""A day of a stage's journal, told to the report as the real one is."""

from __future__ import annotations

from datetime import date

from ordergate.audit.daily import Day, Tally, house_first
from ordergate.core.ids import AccountId
from ordergate.core.risk.trading_state import Level
from ordergate.journal.memory_store import stored
from tests.engine.stage import ACCOUNT, START, Stage

THE_DAY = START.date()
WIDE = {
    ACCOUNT: frozenset(
        {(Level.BROKER, "paper-login"), (Level.TENANT, "default"), (Level.ENVIRONMENT, "paper")}
    )
}


def tally_of(stage: Stage, day: date = THE_DAY) -> Tally:
    """All streams from their first event on, as they are now."""
    told = Day(day, WIDE)
    for account in house_first(map(AccountId, stage.journal.books)):
        for event in stage.journal.books[account].events:
            told.add(account, stored(*event))
    return told.made()


def whats(stage: Stage, section: str) -> list[str]:
    return [line.what for line in tally_of(stage).sections.get(section, [])]
