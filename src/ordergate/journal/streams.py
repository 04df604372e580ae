"""Gives the streams of all accounts new names, where the journal was put back to an earlier state.

What clients were told since is lost, and other events get the numbers that they have seen. Under the old name
a client would go on after its number and never hear of them; under a new one it starts over with a snapshot.
"""

from __future__ import annotations

from typing import Final

from ordergate.core.faults import JournalUnavailable
from ordergate.journal import session, sqlfiles

TIMEOUT_S: Final = 30.0

_SQL: Final = sqlfiles.statements("writer")


async def begin_anew(dsn: str) -> None:
    """For a gateway that is started afterwards. Raises JournalUnavailable."""
    connection = await session.connect(dsn, timeout_s=TIMEOUT_S)
    try:
        await connection.execute(_SQL["begin_streams_anew"], timeout=TIMEOUT_S)
    except session.WIRE_FAULTS as error:
        raise JournalUnavailable(f"the streams cannot be begun anew: {session.said(error)}") from error
    finally:
        connection.terminate()
