"""Mistakes that no simulation could see, because another part does the same: taken out, with the reason."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Equivalent

EQUIVALENTS: Final[tuple[Equivalent, ...]] = (
    Equivalent(
        id="failed-receipt-kept",
        what="the receipt of a failed commit stays in memory",
        why="a failed commit stops the account, and recovery reads its receipts anew",
    ),
)
