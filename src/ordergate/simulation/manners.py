"""How a broker answers one call badly, though it does what it was told. Values only.

What the plan draws strikes whatever comes along; these are for a call that is chosen.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.ports.broker import Outcome, Rejected, Unknown


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is answered, None for nothing at all; the news of it is `held_s` late, or never told.

    `hidden` says that questions do not find it either, for as long as the broker admits to; `way_s` how
    much longer than others the call is on its way.
    """

    outcome: Outcome | None
    held_s: float | None = None
    hidden: bool = False
    way_s: float = 0.0

    @property
    def is_false(self) -> bool:
        """A definite no, which is not so."""
        return isinstance(self.outcome, Rejected)


SILENT: Final = Manner(outcome=None)
HIDDEN: Final = Manner(outcome=Unknown("502 bad gateway"), hidden=True)
UNCLEAR: Final = Manner(outcome=Unknown("502 bad gateway"), held_s=0.5)
LATE: Final = Manner(outcome=None, held_s=0.0, way_s=10.0)
FALSE: Final = Manner(outcome=Rejected("422 unprocessable"), held_s=0.5)
