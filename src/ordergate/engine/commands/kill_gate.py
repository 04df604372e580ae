"""The part of the gate at which people stop, release and flatten. The kill desk decides."""

from __future__ import annotations

from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import KillView
from ordergate.engine.stopping.kill_desk import KillDesk


class KillGate:
    def __init__(self, kill_desk: KillDesk) -> None:
        self._kill_desk = kill_desk

    def kill_state(self) -> KillView:
        """For whoever runs the gateway."""
        return self._kill_desk.view()

    def kill_state_for(self, principal: Principal) -> KillView:
        return self._kill_desk.view_for(principal)

    async def engage_kill(
        self,
        principal: Principal,
        *,
        grade: str,
        reason: str,
        correlation: str,
        level: str = Level.GLOBAL,
        target: str = "",
    ) -> KillView | Refusal:
        """In force at once on this node; with `cancel_all` what it is about is then cancelled."""
        place = Level(level), target
        return await self._kill_desk.engage(principal, place, Grade(grade), reason, correlation)

    async def release_kill(
        self,
        principal: Principal,
        *,
        reason: str,
        correlation: str,
        level: str = Level.GLOBAL,
        target: str = "",
    ) -> KillView | Refusal:
        """In force once it is durable; by another person than the one who engaged it."""
        return await self._kill_desk.release(principal, (Level(level), target), reason, correlation)

    async def flatten_kill(
        self,
        principal: Principal,
        *,
        reason: str,
        correlation: str,
        level: str = Level.GLOBAL,
        target: str = "",
    ) -> KillView | Refusal:
        """Close what is held under a stop, once two persons have asked for it."""
        return await self._kill_desk.flatten(principal, (Level(level), target), reason, correlation)
