"""A stream's part in dead man's switches: carries its frames to them, and tells when the stream is lost.

Whether a lost stream counts at once, the client says when it arms; a gateway that goes away by itself never
counts as a client that did.
"""

from __future__ import annotations

import msgspec

from ordergate.api.deps import DeadManLike
from ordergate.api.stream import frames
from ordergate.api.stream.actions import DeadManAsked, Send
from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Remaining


class DeadManOfStream:
    """One connection's. `of_disconnect` are the sessions for which losing it counts at once."""

    def __init__(self, dead_man: DeadManLike) -> None:
        self._dead_man = dead_man
        self._of_disconnect: dict[str, Principal] = {}

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
                )
                if not isinstance(answer, Refusal) and frame.on_disconnect:
                    self._of_disconnect[frame.session] = principal
            case frames.DeadManRefresh():
                answer = self._dead_man.refresh(principal, frame.session)
            case _:
                self._of_disconnect.pop(frame.session, None)
                answer = await self._dead_man.disarm(principal, frame.session, correlation=asked.correlation)
        if isinstance(answer, Refusal):
            return Send(frames.error(answer, frame.id), answer.code)
        return Send(frames.dead_man(msgspec.structs.asdict(answer), frame.id))

    def disconnected(self) -> None:
        for session, principal in self._of_disconnect.items():
            self._dead_man.gone(principal, session, "its stream was disconnected")
        self._of_disconnect.clear()

    def forget(self) -> None:
        """It is the gateway that goes away: the time that is armed runs on."""
        self._of_disconnect.clear()
