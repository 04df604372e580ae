"""What is joined into one text is taken apart again exactly, or is not written."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.journal import batch
from ordergate.journal.postgres import PostgresJournal
from tests.journal.making import ALICE, BOB, Owner, order_row

# Texts as ours are, and far stranger; an empty one alone is the one thing that has no form.
LETTERS = st.characters(exclude_characters="\0\x1e\x1f", exclude_categories=["Cs"])
WORDS = st.lists(st.none() | st.text(LETTERS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS.filter(lambda words: words != [""]), numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
async def test_postgresql_reads_what_was_joined(
    database: str, words: list[str | None], numbers: list[int]
) -> None:
    connection = await asyncpg.connect(database)
    try:
        read = await connection.fetchrow(
            r"select string_to_array($1, E'\x1f', E'\x1e'), string_to_array($2, ',')::bigint[]",
            batch._words(words),
            batch._numbers(numbers),
        )
    finally:
        await connection.close()
    assert read is not None
    assert (read[0], read[1]) == (words, numbers)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_has_no_comma(moment: datetime) -> None:
    assert datetime.fromisoformat(batch._moments([moment])) == moment


@pytest.mark.parametrize("name", ["a\x1fb", "\x1f", "a\x1f\x1fb"])
def test_a_name_with_a_separator_is_not_written(name: str) -> None:
    with pytest.raises(batch.Unwritable):
        batch._words(["before", name, "after"])
    with pytest.raises(batch.Unwritable):
        batch._documents([name.encode()])


async def test_what_cannot_be_joined_is_refused_alone(database: str) -> None:
    """Its neighbours in the batch are written."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    try:
        alice, bob = Owner(journal, ALICE), Owner(journal, BOB)
        await alice.take()
        await bob.take()
        strange = order_row(BOB, 1, client_order_id="a\x1fb")
        good, bad = journal.append(alice.place(1)), journal.append(bob.place(1, orders=(strange,)))
        await good
        with pytest.raises(JournalUnavailable, match="separator"):
            await bad
    finally:
        await journal.close()
