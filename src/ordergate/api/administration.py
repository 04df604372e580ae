"""The desks of the administration, as far as the API speaks to them."""

from __future__ import annotations

from typing import Protocol

from ordergate.core.access import Principal
from ordergate.core.approvals import Change
from ordergate.core.programs import Program
from ordergate.core.refusals import Refusal
from ordergate.core.tenancy import Assignment
from ordergate.engine.desks.access_desk import AssignmentView, SubjectView, TenantView
from ordergate.engine.desks.programs_desk import Made, ProgramView
from ordergate.engine.desks.strategies_desk import StrategyView


class AccessLike(Protocol):
    """The engine's desk for roles, as far as the API speaks to it."""

    def tenant(self, principal: Principal) -> TenantView: ...

    def subjects(self, principal: Principal) -> list[SubjectView]: ...

    def roles_of(self, principal: Principal) -> tuple[AssignmentView, ...]: ...

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]: ...

    def change(self, principal: Principal, change_id: str) -> Change | Refusal: ...

    async def ask(
        self, principal: Principal, assignment: Assignment, *, reason: str, correlation: str
    ) -> Change | Refusal: ...

    async def withdraw(
        self, principal: Principal, assignment: Assignment, *, reason: str
    ) -> SubjectView | Refusal: ...

    async def keep_out(self, principal: Principal, subject: str, *, reason: str) -> SubjectView | Refusal: ...

    async def approve(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal: ...

    async def reject(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal: ...


class ProgramsLike(Protocol):
    """The engine's desk for keys of programs, as far as the API speaks to it."""

    def listed(self, principal: Principal) -> list[ProgramView]: ...

    def show(self, principal: Principal, client_id: str) -> ProgramView | Refusal: ...

    async def create(
        self, principal: Principal, program: Program, *, reason: str, correlation: str
    ) -> Made | ProgramView | Change | Refusal: ...

    async def change(
        self, principal: Principal, wanted: Program, *, reason: str, correlation: str
    ) -> ProgramView | Change | Refusal: ...

    async def rotate(
        self, principal: Principal, client_id: str, *, overlap_s: int, reason: str
    ) -> Made | Refusal: ...

    async def publish(
        self, principal: Principal, client_id: str, keys: str, *, reason: str, correlation: str
    ) -> ProgramView | Change | Refusal: ...

    async def disable(
        self, principal: Principal, client_id: str, *, reason: str
    ) -> ProgramView | Refusal: ...


class StrategiesLike(Protocol):
    """The engine's desk for strategies, as far as the API speaks to it."""

    def listed(self, principal: Principal) -> list[StrategyView]: ...

    async def add(
        self, principal: Principal, *, name: str, version: str, owner: str, reason: str
    ) -> StrategyView | Refusal: ...

    async def disable(
        self, principal: Principal, *, name: str, version: str, reason: str
    ) -> StrategyView | Refusal: ...
