"""Where people engage and release the kill switch: permission, the switch, and what follows from it.

Engaging is in force before it is durable, releasing only after: doubt is decided for standing still.
"""

from __future__ import annotations

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import Fault
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged, KillReleased
from ordergate.engine import cancels
from ordergate.engine.answers import KillView
from ordergate.engine.kill_switch import KillSwitch
from ordergate.engine.lanes import Lanes
from ordergate.ports.clock import Clock
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger

log = logger("kill_desk")

_FORBIDDEN = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.RISK_WRITE}")


class KillDesk:
    def __init__(self, lanes: Lanes, kill_switch: KillSwitch, clock: Clock) -> None:
        self._lanes = lanes
        self._kill_switch = kill_switch
        self._clock = clock

    async def engage(
        self, principal: Principal, grade: Grade, reason: str, correlation: str
    ) -> KillView | Refusal:
        """In force at once on this node; with `cancel_all` every open order is then cancelled."""
        if not principal.may(Scope.RISK_WRITE):
            return _FORBIDDEN
        engaged = KillEngaged(at=self._clock.now(), grade=grade, actor=principal.subject, reason=reason)
        durable = self._kill_switch.engage(engaged, correlation)
        try:
            await durable
        except Fault as fault:
            log.error("kill_switch.not_durable", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "engaged on this node, but not yet written down")
        finally:
            if grade is Grade.CANCEL_ALL:
                self._cancel_everything(principal.subject, correlation)
        return self._kill_switch.view()

    async def release(self, principal: Principal, reason: str, correlation: str) -> KillView | Refusal:
        """In force once it is durable."""
        if not principal.may(Scope.RISK_WRITE):
            return _FORBIDDEN
        released = KillReleased(at=self._clock.now(), actor=principal.subject, reason=reason)
        try:
            await self._kill_switch.release(released, correlation)
        except Fault as fault:
            log.error("kill_switch.not_durable", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "still engaged: the release could not be written")
        return self._kill_switch.view()

    def _cancel_everything(self, actor: str, correlation: str) -> None:
        failpoints.reach("C13")
        for seat in self._lanes:
            try:
                cancels.cancel_open(seat, actor=actor, at=self._clock.now(), correlation=correlation)
            except Fault as fault:
                # The lane recovers, and cancels everything then: the switch is still engaged.
                log.error("cancel_all.unrecorded", account=seat.lane.account, why=str(fault))
