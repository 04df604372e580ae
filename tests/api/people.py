"""Who asks in these tests, a clock that only moves when told, and the dependencies put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ordergate.api.app import ApiDeps
from ordergate.api.deps import Asked, AuthorizationEndpoint, Bounds, OpenPage, Told
from ordergate.api.stored_credentials import CredentialView, Step
from ordergate.api.stream.hub import Hub
from ordergate.audit.drop_copy import DropCopy
from ordergate.core.access import Principal, Scope
from ordergate.core.approvals import Change
from ordergate.core.contingent.terms import GroupTerms
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Rule
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.accounts.alarms import Standing
from ordergate.engine.accounts.lanes import Lanes
from ordergate.engine.accounts.runs import RunView
from ordergate.engine.answering.answers import BreakAnswer, DeadManView, GroupAnswer, RunAsked
from ordergate.engine.limits.changes import Plan
from ordergate.engine.limits.desk import Edited
from ordergate.engine.limits.rehearsal import Rehearsed
from ordergate.engine.worth.appraising import Appraising
from ordergate.engine.worth.prices import PriceBoard
from ordergate.journal.memory_surveillance import MemorySurveillance
from ordergate.ports.identity import Shown
from ordergate.ports.views import Page
from ordergate.telemetry.metrics import Metrics
from ordergate.telemetry.secret import Secret
from tests.api.books import Books
from tests.api.desks import NoAccess, NoPrograms, NoStrategies
from tests.api.ledger import ACCOUNT, INSTRUMENTS, OTHER_ACCOUNT

TRADER = "token-of-the-trader"
READER = "token-of-a-reader"
STRANGER = "token-of-a-stranger"
LIVE = "token-of-the-live-environment"
ADMIN_URL = "http://gateway-admin"


class StillClock:
    """Time stands still until a test moves it; sleeping is left to the loop."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return datetime(2024, 3, 1, 14, 30, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Counting:
    """Chance that never repeats and is the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def bits(self, count: int) -> int:
        self.count += 1
        return self.count % (1 << count)


def principal(name: str, scopes: frozenset[Scope], *, env: Env = Env.PAPER) -> Principal:
    return Principal(
        env=env,
        tenant="demo",
        client_id=name,
        subject=name,
        scopes=scopes,
        accounts=frozenset({OTHER_ACCOUNT if name == "stranger" else ACCOUNT}),
        expires_at=4_000_000_000,
        token_id=f"token-of-{name}",
    )


EVERYTHING = frozenset(Scope)
READING = frozenset({Scope.ORDERS_READ, Scope.ACCOUNTS_READ})


PLAIN = Shown()


class Directory:
    """Tokens and whose they are. `forget` makes the next use go through the whole check again."""

    def __init__(self) -> None:
        self.principals = {
            TRADER: principal("trader", EVERYTHING),
            READER: principal("reader", READING),
            STRANGER: principal("stranger", EVERYTHING),
            LIVE: principal("trader", EVERYTHING, env=Env.LIVE),
        }
        self.revoked: set[str] = set()
        self.logged_in_long_ago: set[str] = set()
        self.kept_out: set[str | None] = set()
        self.seen: set[str] = set()
        self.checks = 0

    def known(self, token: str) -> Principal | None:
        found = self.principals.get(token) if token in self.seen else None
        return found if found is not None and self.still_valid(found) else None

    def known_bound(self, token: str, shown: Shown) -> Principal | Refusal | None:
        return None

    def nonce(self) -> str:
        return "nonce"

    def stepped_up(self, principal: Principal) -> bool:
        return principal.token_id not in self.logged_in_long_ago

    async def authenticate(self, token: str, shown: Shown = PLAIN) -> Principal | Refusal:
        self.checks += 1
        found = self.principals.get(token)
        if found is None or not self.still_valid(found):
            return Refusal(Code.UNAUTHENTICATED, "the access token is not valid")
        if found.env is Env.PAPER:
            self.seen.add(token)
        return found

    def admitted(self, sender: Principal, owner: str | None, peer: str) -> Principal | None:
        return None if {sender.subject, owner} & self.kept_out else sender

    def still_valid(self, principal: Principal) -> bool:
        return principal.token_id not in self.revoked


async def _token(asked: Asked) -> Told:
    body = msgspec.json.encode({"method": asked.method, "body": asked.body.decode()})
    return Told(status=200, body=body, headers={"Content-Type": "application/json"})


AUTHORIZATION = (
    AuthorizationEndpoint(path="/oauth/token", methods=("POST",), summary="Get a token", call=_token),
)


class NoBreaks:
    """A desk where there is nothing to settle."""

    async def assign(self, *_: object, **__: object) -> BreakAnswer | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such break")

    async def resolve(self, *_: object, **__: object) -> BreakAnswer | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such break")

    async def ask_run(self, principal: Principal, account: AccountId, **_: object) -> RunAsked | Refusal:
        if account not in principal.accounts:
            return Refusal(Code.NOT_FOUND, "there is no such account")
        return RunAsked(account_id=account, after=None)

    def runs(self, accounts: Sequence[AccountId]) -> list[RunView]:
        return []


class NoAlarms:
    """A house in which nothing is to be told."""

    def of(self, accounts: Sequence[AccountId]) -> Standing:
        return Standing(alarms=[], unread=[])


class NoGroups:
    """A gate where nobody has placed a group."""

    async def place(self, principal: Principal, terms: GroupTerms, **_: object) -> GroupAnswer | Refusal:
        if terms.account not in principal.accounts:
            return Refusal(Code.NOT_FOUND, "there is no such account")
        return Refusal(Code.UNKNOWN_INSTRUMENT, f"{terms.symbol} is not listed here")

    async def cancel(self, *_: object, **__: object) -> GroupAnswer | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such group")

    async def flatten(self, *_: object, **__: object) -> GroupAnswer | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such account")

    async def show(self, *_: object) -> bytes | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such group")

    async def latest(self, *_: object, **__: object) -> Page | Refusal:
        return Page((), None)


class Safe:
    """One login with stored credentials, of the trader's account; notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.refusal: Refusal | None = None

    def accounts_of(self, broker: str) -> frozenset[AccountId]:
        return frozenset({ACCOUNT}) if broker == "venue" else frozenset()

    async def listed(self) -> Sequence[CredentialView] | Refusal:
        return self.refusal or [self.view("active"), self.view("active", "of-somebody-else")]

    async def add(self, broker: str, key_id: Secret, secret_key: Secret) -> CredentialView | Refusal:
        self.asked.append(("add", broker, key_id.reveal(), secret_key.reveal()))
        return self.refusal or self.view("added")

    async def move(self, broker: str, step: Step) -> CredentialView | Refusal:
        self.asked.append((step, broker))
        return self.refusal or self.view("verified")

    def view(self, state: str, broker: str = "venue") -> CredentialView:
        return CredentialView(
            broker=broker, row="0" * 32, kind="api_keys", state=state, account=None,
            since="2026-01-05T15:00:00+00:00", expires=None,
        )  # fmt: skip


class Logins(Safe):
    """A login with stored credentials for each account."""

    def __init__(self, serving: Mapping[str, AccountId]) -> None:
        super().__init__()
        self._serving = serving

    def accounts_of(self, broker: str) -> frozenset[AccountId]:
        return frozenset({self._serving[broker]}) if broker in self._serving else frozenset()


class NoLimits:
    """A desk where there are no rules, and nobody may make one."""

    def rules(self, principal: Principal) -> list[Rule]:
        return []

    def rule(self, principal: Principal, rule_id: str) -> Rule | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such rule")

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]:
        return []

    def change(self, principal: Principal, change_id: str) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")

    def use_of(self, account: AccountId) -> bytes | None:
        return None

    def differing(self, principal: Principal, rules: Sequence[Rule], *, prune: bool) -> list[Edit]:
        return [Edit(rule.id, 0, rule) for rule in rules]

    async def planned(self, principal: Principal, edits: Sequence[Edit], reason: str) -> Plan | Refusal:
        return Plan((), tuple(edits), (), ())

    async def ask_override(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.STEP_UP_REQUIRED, "log in again")

    async def dry_run(self, *_: object, **__: object) -> Rehearsed | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such account")

    async def edit(self, *_: object, **__: object) -> Edited | Refusal:
        return Refusal(Code.CHANGE_OUTDATED, "it is another by now")

    async def approve(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")

    async def reject(self, *_: object, **__: object) -> Change | Refusal:
        return Refusal(Code.NOT_FOUND, "there is no such change")


class NobodyArmed:
    """Dead man's switches that are armed and never expire."""

    async def arm(
        self,
        principal: Principal,
        session: str,
        *,
        timeout_s: int,
        gtc: Remaining,
        correlation: str,
        connection: object = None,
    ) -> DeadManView | Refusal:
        return DeadManView(
            session=session,
            state="armed",
            timeout_s=timeout_s,
            refresh_s=timeout_s // 3,
            gtc=gtc,
            expires_in_s=float(timeout_s),
            orders_left=0,
        )

    async def disarm(self, *_: object, **__: object) -> DeadManView | Refusal:
        return Refusal(Code.NOT_FOUND, "no switch of the session is armed")

    def refresh(self, principal: Principal, session: str, connection: object = None) -> DeadManView | Refusal:
        return Refusal(Code.NOT_FOUND, "no switch of the session is armed")

    def gone(self, principal: Principal, session: str, why: str, connection: object = None) -> None: ...

    def of(self, principal: Principal) -> Sequence[DeadManView]:
        return ()


def deps_of(
    books: Books,
    *,
    bounds: Bounds | None = None,
    clock: StillClock | None = None,
    identity: Directory | None = None,
    copies: MemorySurveillance | None = None,
    credentials: Safe | None = None,
) -> ApiDeps:
    clock = clock or StillClock()
    identity = identity or Directory()
    bounds = bounds or Bounds()
    hub = Hub(books)
    books.audience = hub
    prices = PriceBoard(hub)
    return ApiDeps(
        env=Env.PAPER,
        version="0.0.0",
        gate=books,
        breaks=NoBreaks(),
        alarms=NoAlarms(),
        groups=NoGroups(),
        limits=NoLimits(),
        access=NoAccess(),
        programs=NoPrograms(),
        strategies=NoStrategies(),
        credentials=credentials or Safe(),
        dead_man=NobodyArmed(),
        drop_copy=DropCopy(copies or MemorySurveillance(), Env.PAPER, [ACCOUNT, OTHER_ACCOUNT]),
        views=books,
        prices=prices,
        worth=Appraising(Lanes(), prices.reference, INSTRUMENTS, clock),
        identity=identity,
        hub=hub,
        instruments=INSTRUMENTS,
        authorization=AUTHORIZATION,
        metrics=Metrics(),
        clock=clock,
        chance=Counting(),
        bounds=bounds,
        admin_url=ADMIN_URL,
        shown=frozenset(OpenPage),
    )
