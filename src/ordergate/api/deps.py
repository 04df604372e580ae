"""What the public face needs from the rest, handed in by whoever composes the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol

import msgspec

from ordergate.api.administration import AccessLike, ProgramsLike, StrategiesLike
from ordergate.api.json_bodies import BYTES_MAX
from ordergate.api.market import PricesLike, WorthLike
from ordergate.api.places import Room
from ordergate.api.quotas import Quotas, Rate
from ordergate.api.stored_credentials import Credentials
from ordergate.core.access import Principal
from ordergate.core.accounts.breaks import Action
from ordergate.core.approvals import Change
from ordergate.core.contingent.terms import GroupId, GroupTerms
from ordergate.core.hooks.hook import Hook
from ordergate.core.ids import AccountId, Env, OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Rule
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.accounts.alarms import Standing
from ordergate.engine.accounts.runs import RunView
from ordergate.engine.answering.answers import (
    Answer,
    BreakAnswer,
    CancelAllAnswer,
    DeadManView,
    GroupAnswer,
    KillView,
    Preview,
    RunAsked,
)
from ordergate.engine.limits.changes import Plan
from ordergate.engine.limits.desk import Edited
from ordergate.engine.limits.override_desk import Asked as OverrideAsked
from ordergate.engine.limits.rehearsal import Rehearsed
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.identity import Identity, Signatures
from ordergate.ports.surveillance import Copy
from ordergate.ports.views import Page, SeenViews
from ordergate.telemetry.metrics import Metrics


class GateLike(Protocol):
    """The engine's gate, as far as the API speaks to it."""

    async def place(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        deadline_s: float = 5,
    ) -> Answer | Refusal: ...

    def place_now(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        tell: Callable[[Answer | Refusal | None], None],
    ) -> bool: ...

    async def cancel(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        if_revision: int | None = None,
    ) -> Answer | Refusal: ...

    async def replace(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        quantity: Decimal | None,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        key: str,
        correlation: str,
        wait_s: float = 0,
        if_revision: int | None = None,
    ) -> Answer | Refusal: ...

    async def resolve(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        resolution: Resolution,
        reason: str,
        broker_order_id: str | None,
        cum_qty: Decimal | None,
        avg_px: Decimal | None,
        key: str,
        correlation: str,
    ) -> Answer | Refusal: ...

    async def cancel_all(
        self,
        principal: Principal,
        account: AccountId,
        *,
        key: str,
        correlation: str,
        symbol: Symbol | None = None,
    ) -> CancelAllAnswer | Refusal: ...

    async def preview(self, principal: Principal, terms: Terms) -> Preview | Refusal: ...

    async def engage_kill(
        self,
        principal: Principal,
        *,
        grade: str,
        reason: str,
        correlation: str,
        level: str,
        target: str,
    ) -> KillView | Refusal: ...

    async def release_kill(
        self, principal: Principal, *, reason: str, correlation: str, level: str, target: str
    ) -> KillView | Refusal: ...

    async def flatten_kill(
        self, principal: Principal, *, reason: str, correlation: str, level: str, target: str
    ) -> KillView | Refusal: ...

    def kill_state_for(self, principal: Principal) -> KillView: ...

    def readiness(self) -> Mapping[str, str]: ...

    def limits_of(self, account: AccountId) -> bytes | None: ...


class BreaksLike(Protocol):
    """The engine's desk for breaks, as far as the API speaks to it."""

    async def assign(
        self, principal: Principal, break_id: str, *, owner: str, note: str, key: str, correlation: str
    ) -> BreakAnswer | Refusal: ...

    async def resolve(
        self, principal: Principal, break_id: str, *, action: Action, reason: str, key: str, correlation: str
    ) -> BreakAnswer | Refusal: ...

    async def ask_run(
        self, principal: Principal, account: AccountId, *, correlation: str, wait_s: float = 0
    ) -> RunAsked | Refusal: ...

    def runs(self, accounts: Sequence[AccountId]) -> list[RunView]: ...


class AlarmsLike(Protocol):
    """The engine's alarms that stand, as far as the API shows them."""

    def of(self, accounts: Sequence[AccountId]) -> Standing: ...


class GroupsLike(Protocol):
    """The engine's gate for groups of orders, as far as the API speaks to it."""

    async def place(
        self, principal: Principal, terms: GroupTerms, *, key: str, correlation: str
    ) -> GroupAnswer | Refusal: ...

    async def cancel(
        self, principal: Principal, group: str, *, key: str, correlation: str
    ) -> GroupAnswer | Refusal: ...

    async def flatten(
        self,
        principal: Principal,
        account: AccountId,
        *,
        key: str,
        correlation: str,
        symbol: Symbol | None = None,
    ) -> GroupAnswer | Refusal: ...

    async def show(self, principal: Principal, group: str) -> bytes | Refusal: ...

    async def latest(
        self,
        principal: Principal,
        accounts: Sequence[AccountId],
        *,
        active: bool | None,
        before: GroupId | None,
        limit: int,
    ) -> Page | Refusal: ...


class LimitsLike(Protocol):
    """The engine's desk for limits, as far as the API speaks to it."""

    def rules(self, principal: Principal) -> list[Rule]: ...

    def rule(self, principal: Principal, rule_id: str) -> Rule | Refusal: ...

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]: ...

    def change(self, principal: Principal, change_id: str) -> Change | Refusal: ...

    def use_of(self, account: AccountId) -> bytes | None: ...

    def differing(self, principal: Principal, rules: Sequence[Rule], *, prune: bool) -> list[Edit]: ...

    async def planned(self, principal: Principal, edits: Sequence[Edit], reason: str) -> Plan | Refusal: ...

    async def ask_override(
        self, principal: Principal, asked: OverrideAsked, *, reason: str, correlation: str
    ) -> Change | Refusal: ...

    async def dry_run(
        self,
        principal: Principal,
        account: AccountId,
        rules: Sequence[Rule],
        *,
        prune: bool,
        orders: int,
        shadows: bool,
    ) -> Rehearsed | Refusal: ...

    async def edit(
        self, principal: Principal, edits: Sequence[Edit], *, reason: str, correlation: str
    ) -> Edited | Refusal: ...

    async def approve(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal: ...

    async def reject(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal: ...


class DeadManLike(Protocol):
    """The engine's dead man's switches, as far as the API speaks to them."""

    async def arm(
        self,
        principal: Principal,
        session: str,
        *,
        timeout_s: int,
        gtc: Remaining,
        correlation: str,
        connection: object = None,
    ) -> DeadManView | Refusal: ...

    async def disarm(
        self, principal: Principal, session: str, *, correlation: str
    ) -> DeadManView | Refusal: ...

    def refresh(
        self, principal: Principal, session: str, connection: object = None
    ) -> DeadManView | Refusal: ...

    def gone(self, principal: Principal, session: str, why: str, connection: object = None) -> None: ...

    def of(self, principal: Principal) -> Sequence[DeadManView]: ...


class DropCopyLike(Protocol):
    """The drop copy, as far as the API shows it."""

    async def page(self, principal: Principal, after: int, most: int) -> Sequence[Copy]: ...

    async def newest(self) -> int: ...


class HooksLike(Protocol):
    """The hooks of now: a mapping, or what reads their secrets again."""

    def get(self, name: str, /) -> Hook | None: ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the authorization server. Header names are in lower case.

    `certificate` is the thumbprint of the certificate that the connection's other end has proven.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    certificate: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the authorization server answers."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class AuthorizationEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route of the authorization server: under /oauth/ or /.well-known/, spoken without a token.

    `summary` is for the OpenAPI document.
    """

    path: str
    methods: tuple[str, ...]
    summary: str
    call: Callable[[Asked], Awaitable[Told]]


GENEROUS: Final = Quotas(
    orders=Rate(per_s=20_000, burst=20_000),
    cancels=Rate(per_s=20_000, burst=20_000),
    reads=Rate(per_s=20_000, burst=20_000),
    changes=Rate(per_s=20_000, burst=20_000),
)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound of the public face. The defaults suit a trading program, not a crowd of browsers."""

    body_bytes_max: int = BYTES_MAX
    header_bytes_max: int = 16 * 1024
    body_timeout_s: float = 10.0
    wait_s_max: int = 30
    command_timeout_s: float = 10.0
    of_client: Quotas = GENEROUS
    of_tenant: Quotas | None = None
    requests_of_peer: Rate = Rate(per_s=40_000, burst=40_000)
    failed_logins_of_peer: Rate = Rate(per_s=5, burst=50)
    refused_proofs_of_token: Rate = Rate(per_s=5, burst=50)
    refused_alerts_of_peer: Rate = Rate(per_s=5, burst=50)
    alerts_of_hook: Rate = Rate(per_s=10, burst=50)
    stream_messages: Rate = Rate(per_s=2_000, burst=2_000)
    streams: Room = Room()
    stream_commands_in_flight_max: int = 256
    stream_subscriptions_max: int = 64
    stream_symbols_max: int = 1_000
    stream_queue_messages_max: int = 1_000
    stream_queue_bytes_max: int = 1024 * 1024
    stream_send_timeout_s: float = 10.0
    stream_login_s: float = 5.0
    heartbeat_s: float = 1.0
    origins: frozenset[str] = frozenset()
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()


class OpenPage(StrEnum):
    """What is served without a token besides the API."""

    DOCUMENTATION = "documentation"
    METRICS = "metrics"


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What every part of the API may use. `instruments` may be a live mapping.

    Without `signatures` no client may trade that has to sign.
    `admin_url` is the public address of the administration's listener; None where there is none. Of the pages
    those that are not `shown` at the gateway's own are there, or nowhere.
    """

    env: Env
    version: str
    gate: GateLike
    breaks: BreaksLike
    alarms: AlarmsLike
    groups: GroupsLike
    limits: LimitsLike
    access: AccessLike
    programs: ProgramsLike
    strategies: StrategiesLike
    credentials: Credentials
    dead_man: DeadManLike
    drop_copy: DropCopyLike
    views: SeenViews
    prices: PricesLike
    worth: WorthLike
    identity: Identity
    signatures: Signatures | None = None
    instruments: Mapping[Symbol, Instrument]
    authorization: tuple[AuthorizationEndpoint, ...]
    metrics: Metrics
    clock: Clock
    chance: Chance
    bounds: Bounds = Bounds()
    hooks: HooksLike = {}
    admin_url: str | None = None
    shown: frozenset[OpenPage] = frozenset()
