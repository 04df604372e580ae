"""A stream's part in dead man's switches: carries its frames to them, and tells when the stream is lost.

Whether a lost stream counts at once, the client says when it arms; a gateway that goes away by itself never
counts as a client that did. The engine knows a connection by its object here: that of a client which has
armed or refreshed on another one since says nothing of it any more.
"""

from __future__ import annotations

import msgspec

from ordergate.api.deps import DeadManLike
from ordergate.api.stream import frames
from ordergate.api.stream.actions import DeadManAsked, Send
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import DeadManView


class DeadManOfStream:
    """One connection's. `of_disconnect` are the sessions for which losing it counts at once."""

    def __init__(self, dead_man: DeadManLike) -> None:
        self._dead_man = dead_man
        self._of_disconnect: dict[str, Principal] = {}
        self._disarming: dict[str, Principal] = {}
        self._is_lost = self._is_forgotten = False

    async def answer_to(self, principal: Principal, asked: DeadManAsked) -> Send:
        frame = asked.frame
        match frame:
            case frames.DeadManArm():
                answer = await self._dead_man.arm(
                    principal,
                    frame.session,
                    timeout_s=frame.timeout_s,
                    gtc=Remaining(frame.gtc),
                    correlation=asked.correlation,
                    connection=self,
                )
                if not isinstance(answer, Refusal):
                    self._is_armed(principal, frame)
            case frames.DeadManRefresh():
                answer = self._dead_man.refresh(principal, frame.session, self)
            case _:
                answer = await self._disarm(principal, asked)
        if isinstance(answer, Refusal):
            return Send(frames.error(answer, frame.id), answer.code)
        return Send(frames.dead_man(msgspec.structs.asdict(answer), frame.id))

    async def _disarm(self, principal: Principal, asked: DeadManAsked) -> DeadManView | Refusal:
        """Losing the stream counts again, also that meanwhile, where it cannot be written down."""
        session, stays = asked.frame.session, True
        if (counted := self._of_disconnect.pop(session, None)) is not None:
            self._disarming[session] = counted
        try:
            answer = await self._dead_man.disarm(principal, session, correlation=asked.correlation)
            stays = isinstance(answer, Refusal) and answer.code is not Code.NOT_FOUND
            return answer
        finally:
            counted = self._disarming.pop(session, None)
            if stays and counted is not None:
                self._count(session, counted)

    def _is_armed(self, principal: Principal, frame: frames.DeadManArm) -> None:
        """The stream may have been lost while that was written down; what was said last holds."""
        self._disarming.pop(frame.session, None)
        if frame.on_disconnect:
            self._count(frame.session, principal)
        else:
            self._of_disconnect.pop(frame.session, None)

    def _count(self, session: str, principal: Principal) -> None:
        self._of_disconnect[session] = principal
        if self._is_lost:
            self.disconnected()

    def disconnected(self) -> None:
        self._is_lost = not self._is_forgotten
        for session, principal in self._of_disconnect.items():
            self._dead_man.gone(principal, session, "its stream was disconnected", self)
        self._of_disconnect.clear()

    def forget(self) -> None:
        """It is the gateway that goes away: the time that is armed runs on."""
        self._is_forgotten = True
        self._of_disconnect.clear()
        self._disarming.clear()
