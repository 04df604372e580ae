"""A stream's part in the drop copy: tells what has a higher number, at the client's pace, and goes on.

Everything is read from where it is kept, the present too, so that a number is never passed over; whoever
may see less from now on sees less from the next page on. Decides nothing about who may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ordergate.api.deps import DropCopyLike
from ordergate.api.stream import frames
from ordergate.api.stream.actions import FollowCopy, Send
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.wire import framed
from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.clock import Clock

PAGE: Final = 100
LOOK_S: Final = 0.4
READ_TIMEOUT_S: Final = 10.0


class DropCopyOfStream:
    """One connection's. `tell` says what is not an entry."""

    def __init__(
        self,
        drop_copy: DropCopyLike,
        outbox: Outbox,
        clock: Clock,
        *,
        principal: Callable[[], Principal | None],
        tell: Callable[[Send], None],
    ) -> None:
        self._drop_copy = drop_copy
        self._outbox = outbox
        self._clock = clock
        self._principal = principal
        self._tell = tell
        self._following: asyncio.Task[None] | None = None

    def follow(self, action: FollowCopy, on_fault: Callable[[BaseException], None]) -> None:
        """An earlier subscription ends."""
        self.leave()
        task = asyncio.create_task(self._follow(action))

        def done(ended: asyncio.Task[None]) -> None:
            fault = None if ended.cancelled() else ended.exception()
            if fault is not None:
                on_fault(fault)

        task.add_done_callback(done)
        self._following = task

    def leave(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _follow(self, action: FollowCopy) -> None:
        try:
            await self._tell_from(action)
        except (Fault, TimeoutError):
            no = Refusal(Code.UNAVAILABLE, "the drop copy cannot be followed now; subscribe again")
            self._tell(Send(frames.error(no, action.frame_id), no.code))

    async def _tell_from(self, action: FollowCopy) -> None:
        async with asyncio.timeout(READ_TIMEOUT_S):
            newest = await self._drop_copy.newest()
        number = newest if action.after is None else action.after
        if number > newest:
            no = never_given(number, newest)
            self._tell(Send(frames.error(no, action.frame_id), no.code))
            return
        self._tell(Send(frames.subscribed_copy(number, action.frame_id)))
        while (principal := self._principal()) is not None and not self._outbox.overflowed:
            async with asyncio.timeout(READ_TIMEOUT_S):
                page = await self._drop_copy.page(principal, number, PAGE)
            for one in page:
                self._outbox.push(framed(frames.copy(one.number, number, one.at, one.notice.frame)))
                number = one.number
            await self._outbox.wait_drained()
            if len(page) < PAGE:
                await self._clock.sleep(LOOK_S)


def never_given(number: int, newest: int) -> Refusal:
    """Whoever goes on after one of the future, as after a restore, would miss everything up to it."""
    return Refusal(Code.INVALID, f"the drop copy has no number {number}: its last is {newest}")
