"""Wraps every stored data key anew after a rotation, and lets old wrapping keys go once nothing needs them.

Row by row, each durable by itself: it can stop anywhere, be run again, and be run by two at once. A secret is
opened for it only where another cipher sealed it than the one of the moment, by which it is sealed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ordergate.ports.keys import Keys, KeysRefused, Purpose, newest
from ordergate.security.sealing.envelope import About, Envelope, Sealed
from ordergate.telemetry import log

_log = log.logger("security")


class Row(Protocol):
    """Something that is sealed, and what it is about."""

    @property
    def row_id(self) -> str: ...

    @property
    def sealed(self) -> Sealed | None: ...

    def about(self) -> About: ...


class Rows(Protocol):
    """Where sealed things lie."""

    async def sealed_rows(self) -> Sequence[Row]: ...

    async def reseal(self, row_id: str, before: Sealed, after: Sealed) -> bool: ...


class Several:
    """Many places where sealed things lie, as one. No row's id is in two of them."""

    def __init__(self, places: Sequence[Rows]) -> None:
        self._places = places

    async def sealed_rows(self) -> Sequence[Row]:
        return [row for place in self._places for row in await place.sealed_rows()]

    async def reseal(self, row_id: str, before: Sealed, after: Sealed) -> bool:
        """By the one place that has it sealed like `before`; the others change nothing, and say so."""
        for place in self._places:
            if await place.reseal(row_id, before, after):
                return True
        return False


class Rewrapped(msgspec.Struct, frozen=True):
    """How far it came: `left` rows are not as new ones would be, and `disabled` versions are let go.

    `refused` names rows among them that the key service does not open, altered or of a key that is gone.
    `factors` are second factors that another cipher had sealed; those that nothing opens are `left`, too.
    """

    done: int
    left: int
    disabled: tuple[int, ...] = ()
    factors: int = 0
    refused: tuple[str, ...] = ()


async def rewrap(keys: Keys, envelope: Envelope, rows: Rows, *, at_most: int | None = None) -> Rewrapped:
    """Raises StoreUnavailable and the faults of keys; what was done until then stays done."""
    versions = await keys.describe(Purpose.SECRETS)
    current = newest(versions)
    if current is None:
        return Rewrapped(0, 0)
    done, refused = 0, []
    for row in await rows.sealed_rows():
        if row.sealed is None or envelope.is_current(row.sealed, current.version):
            continue
        if at_most is not None and done >= at_most:
            break
        try:
            after = await envelope.renew(row.sealed, row.about())
        except KeysRefused:
            if await _was_moved(rows, row):
                continue  # another who does the same was quicker, and has let the old key go
            _log.error("secret.not_rewrapped", row=row.row_id)
            refused.append(row.row_id)
            continue
        done += await rows.reseal(row.row_id, row.sealed, after)
    now = [row.sealed for row in await rows.sealed_rows() if row.sealed is not None]
    left = sum(not envelope.is_current(sealed, current.version) for sealed in now)
    old = [one.version for one in versions if one.enabled and one.version != current.version]
    disabled = [version for version in old if not left]
    for version in disabled:
        await keys.disable(Purpose.SECRETS, version)
    _log.info("secrets.rewrapped", done=done, left=left, disabled=disabled, version=current.version)
    return Rewrapped(done, left, tuple(disabled), refused=tuple(refused))


async def _was_moved(rows: Rows, row: Row) -> bool:
    now = next((one for one in await rows.sealed_rows() if one.row_id == row.row_id), None)
    return now is None or now.sealed != row.sealed
