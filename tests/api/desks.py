"""Desks of the administration for tests that are about something else: nearly nothing is there or happens."""

from __future__ import annotations

from ordergate.core.access import Principal, Scope, Sender
from ordergate.core.approvals import Change
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.desks.access_desk import AccountView, AssignmentView, SubjectView, TenantView
from ordergate.engine.desks.programs_desk import Made, ProgramView
from ordergate.engine.desks.strategies_desk import StrategyView
from ordergate.telemetry.secret import Secret
from tests.api.ledger import ACCOUNT


class NoAccess:
    """A desk of a tenant where nobody has a role, and nobody may be given one."""

    def tenant(self, principal: Principal) -> TenantView:
        return TenantView(tenant=principal.tenant, desks=(), accounts=(AccountView(ACCOUNT, None),))

    def subjects(self, principal: Principal) -> list[SubjectView]:
        return []

    def roles_of(self, principal: Principal) -> tuple[AssignmentView, ...]:
        return ()

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]:
        return []

    def change(self, principal: Principal, change_id: str) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")

    async def ask(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.STEP_UP_REQUIRED, "log in again")

    async def withdraw(self, *_: object, **__: object) -> SubjectView | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such role")

    async def keep_out(self, principal: Principal, subject: str, **_: object) -> SubjectView | Refusal:
        return SubjectView(subject=subject, version=1, enabled=False, roles=())

    async def approve(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")

    async def reject(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")


class NoPrograms:
    """A desk of a tenant that has one program, which may be disabled."""

    VIEW = ProgramView(
        client_id="bot",
        enabled=True,
        scopes=(Scope.ORDERS_READ,),
        accounts=(ACCOUNT,),
        instruments=(),
        strategies=(),
        max_notional=None,
        networks=(),
        expires_at=None,
        signed_requests=False,
        sender=Sender.ANY,
        has_secret=True,
        old_secret_until=None,
        key_ids=(),
    )

    def listed(self, principal: Principal) -> list[ProgramView]:
        return [self.VIEW]

    def show(self, principal: Principal, client_id: str) -> ProgramView | Refusal:
        return self.VIEW if client_id == "bot" else Refusal(Code.NOT_FOUND, "there is no such client")

    async def create(self, *_: object, **__: object) -> Made | ProgramView | Change | Refusal:
        return Made(self.VIEW, Secret("told this once"))

    async def change(self, *_: object, **__: object) -> ProgramView | Change | Refusal:
        return self.VIEW

    async def rotate(self, *_: object, **__: object) -> Made | Refusal:
        return Made(self.VIEW, Secret("told this once"))

    async def publish(self, *_: object, **__: object) -> ProgramView | Change | Refusal:
        return Refusal(Code.STEP_UP_REQUIRED, "log in again")

    async def disable(self, *_: object, **__: object) -> ProgramView | Refusal:
        return self.VIEW


class NoStrategies:
    """A desk of a tenant that has registered none."""

    def listed(self, principal: Principal) -> list[StrategyView]:
        return []

    async def add(
        self, principal: Principal, *, name: str, version: str, owner: str, reason: str
    ) -> StrategyView | Refusal:
        return StrategyView(name=name, version=version, owner=owner, enabled=True)

    async def disable(self, *_: object, **__: object) -> StrategyView | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such strategy")
