"""The pace of real processes: how fast a load goes, and how often something outside is looked at.

Nothing is waited for by time here. A loop that looks at another process pauses between two looks
and gives up at its own timeout; a load pauses so that it is one.
"""

from __future__ import annotations

import asyncio


class Pace:
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


PACE = Pace()
