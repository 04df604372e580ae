"""A whole gateway in memory with two tenants: engine, identity, application, something of everybody's.

Who they are is in `everybody`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

import msgspec

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import Bounds, OpenPage
from ordergate.api.quotas import Quotas, Rate
from ordergate.api.stream.hub import Hub
from ordergate.audit.drop_copy import DropCopy
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.core.access import Principal, Role, Scope
from ordergate.core.approvals import Change
from ordergate.core.contingent.terms import GroupKind, GroupTerms, Leg, LegType
from ordergate.core.contingent.terms import Role as LegRole
from ordergate.core.ids import Env, Paper
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.policy import Edit
from ordergate.core.tenancy import Assignment, Reach
from ordergate.engine.answering.answers import Answer, GroupAnswer
from ordergate.engine.desks.access_desk import AccessDesk
from ordergate.engine.desks.strategies_desk import StrategiesDesk
from ordergate.engine.limits.desk import Edited
from ordergate.engine.node import Node
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.supervisor import Supervisor
from ordergate.engine.wire.dispatcher import Pace
from ordergate.engine.world import Served, World
from ordergate.engine.worth.appraising import Appraising
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_surveillance import MemorySurveillance
from ordergate.journal.memory_views import MemoryViews
from ordergate.ports.market_data import Quote
from ordergate.security.programs import Programs
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring.gateway import mounted
from tests.api.people import Logins
from tests.engine.stage import ES, INSTRUMENT, LIMITS, STEP_S, CountingChance, HandClock, let_run
from tests.security.doors import Doors
from tests.security.everybody import ORIGIN, OWN, SISTER, THEIRS, Everybody

MISSING: Final = "missing"
TARGETS: Final = (OWN, SISTER, THEIRS, MISSING)
ADMIN_URL: Final = "https://admin.example"
UNLIMITED: Final = Rate(per_s=10**9, burst=10**9)
Things = Mapping[str, str]

__all__ = ["ADMIN_URL", "MISSING", "ORIGIN", "OWN", "SISTER", "TARGETS", "THEIRS", "Floor", "Things", "floor"]


class Floor(Everybody):
    def __init__(self, env: Env, *, base_url: str | None = None, clock: HandClock | None = None) -> None:
        super().__init__(env, base_url=base_url, clock=clock)
        self.chance = CountingChance()
        self._typed = cast("Paper", env)  # which of the two it is does not matter to the types
        self.journal = MemoryJournal(self._typed)
        self.things: dict[str, Things] = {}

    def key(self) -> str:
        return f"key-of-the-floor-{next(self._keys):08}"

    # Building it

    async def open(self) -> None:
        await self.open_identity()
        views = MemoryViews(self.journal)
        hub = Hub(views)
        world = World(
            env=self._typed,
            clock=self.clock,
            chance=self.chance,
            journal=self.journal,
            views=views,
            audience=hub,
            metrics=Metrics(),
            instruments={ES: INSTRUMENT},
        )
        self.exchanges = {target: self._exchange() for target in self.accounts}
        served = [
            Served(
                account,
                PaperBroker(self.exchanges[target], env=self._typed, clock=self.clock),
                msgspec.structs.replace(LIMITS, enabled_until=self.clock.now() + timedelta(days=30)),
                login=f"login-{target}",
                tenant=self.tenant_of[target],
            )
            for target, account in self.accounts.items()
        ]
        self.node = Node(world, served, rhythm=Rhythm(), pace=Pace())
        self.access = AccessDesk(
            self.env,
            self.security.directory,
            Programs(self.security.directory),
            journal=self.journal,
            audience=hub,
            clock=self.clock,
            chance=self.chance,
        )
        self.parts = Supervisor(self.clock)
        self.parts.keep("access", self.access.keep)
        self.deps = ApiDeps(
            env=self.env,
            version="0.0.0",
            gate=self.node.gate,
            breaks=self.node.breaks,
            alarms=self.node.alarms,
            groups=self.node.groups,
            limits=self.node.limits,
            access=self.access,
            programs=self.access.programs,
            strategies=StrategiesDesk(self.security.directory, self.clock),
            credentials=Logins({f"login-{target}": account for target, account in self.accounts.items()}),
            dead_man=self.node.dead_man,
            drop_copy=DropCopy(MemorySurveillance(), self.env, list(self.accounts.values())),
            views=views,
            prices=self.node.prices,
            worth=Appraising(self.node.lanes, self.node.prices.reference, {ES: INSTRUMENT}, self.clock),
            identity=self.security.bearer,
            hub=hub,
            instruments={ES: INSTRUMENT},
            authorization=tuple(mounted(endpoint) for endpoint in self.security.server.endpoints()),
            metrics=world.metrics,
            clock=self.clock,
            chance=self.chance,
            bounds=Bounds(
                failed_logins_of_peer=UNLIMITED,
                of_client=Quotas(orders=UNLIMITED, cancels=UNLIMITED, reads=UNLIMITED, changes=UNLIMITED),
                requests_of_peer=UNLIMITED,
                origins=frozenset({ORIGIN}),
            ),
            admin_url=ADMIN_URL,
            shown=frozenset({OpenPage.DOCUMENTATION}),
        )
        self.app = create_app(self.deps)
        self._price()
        self.node.start()
        await self.until(lambda: not self.node.gate.readiness())
        self._price()
        for target in self.accounts:
            self.things[target] = await self._some_of(target)
        self.things[MISSING] = self._none()
        await self.security.directory.refresh()
        self.heads = self._heads()

    async def close(self) -> None:
        self.deps.hub.shut_down()
        await self.parts.stop()
        await self.node.kill()

    async def until(self, true: Any) -> None:
        await let_run()
        for _ in range(1_000):
            if true():
                return
            await self.clock.move(STEP_S)
        raise AssertionError("it never came true")

    def look_again(self) -> None:
        """What has happened so far to what is not acme's was meant."""
        self.heads = self._heads()

    def untouched(self) -> bool:
        """Nothing has happened to what is not acme's."""
        return self._heads() == self.heads

    def _heads(self) -> int:
        return len(self.journal.books[self.accounts[THEIRS]].events)

    def _exchange(self) -> PaperExchange:
        exchange = PaperExchange(now=self.clock.now, instruments={ES: INSTRUMENT})
        exchange.mark(ES, Decimal(4800))
        return exchange

    def _price(self) -> None:
        size = Decimal(10)
        quote = Quote(
            symbol=ES,
            bid=Decimal("4799.75"),
            bid_size=size,
            ask=Decimal("4800.25"),
            ask_size=size,
            at=self.clock.now(),
        )
        self.node.prices.take(quote)

    # Something of everybody's

    def owner(self, target: str) -> Principal:
        """Somebody who may do everything with the target's account, and with no other."""
        return Principal(
            env=self.env,
            tenant=self.tenant_of[target],
            client_id=f"owner of {target}",
            subject=f"owner of {target}",
            scopes=frozenset(Scope),
            accounts=frozenset({self.accounts[target]}),
            expires_at=2**40,
            token_id=target,
            auth_time=int(self.clock.now().timestamp()),
        )

    async def _some_of(self, target: str) -> Things:
        account, owner = self.accounts[target], self.owner(target)
        terms = Terms(
            account=account,
            symbol=ES,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=Decimal(4_700),
            time_in_force=TimeInForce.DAY,
        )
        order = await self.node.gate.place(owner, terms, key=self.key(), correlation="floor")
        assert isinstance(order, Answer), order
        assert not order.failed, order.failed
        group = await self.node.groups.place(
            owner,
            GroupTerms(
                account=account,
                kind=GroupKind.TRAILING_STOP,
                symbol=ES,
                quantity=Decimal(1),
                legs=(
                    Leg(
                        role=LegRole.TRAIL,
                        side=Side.SELL,
                        type=LegType.TRAILING_STOP,
                        trail_amount=Decimal(5),
                    ),
                ),
            ),
            key=self.key(),
            correlation="floor",
        )
        assert isinstance(group, GroupAnswer), group
        rule = f"settings:{account}"
        standing = self.node.limits.book.policy.rules[rule]
        loosened = msgspec.structs.replace(standing, limits={**standing.limits, "max_open_orders": 2_000})
        edited = await self.node.limits.edit(
            owner, [Edit(rule, standing.version, loosened)], reason="floor", correlation="floor"
        )
        assert isinstance(edited, Edited), edited
        assert edited.change is not None
        looser = msgspec.structs.replace(standing, limits={**standing.limits, "max_open_orders": 3_000})
        again = await self.node.limits.edit(
            owner, [Edit(rule, standing.version, looser)], reason="floor", correlation="floor"
        )
        assert isinstance(again, Edited), again
        assert again.change is not None
        return {
            "account": account,
            "login": f"login-{target}",
            "program": f"program-{target}",
            "order": order.order_id,
            "group": group.group_id,
            "rule": rule,
            "change": edited.change.id,
            "unwanted": again.change.id,
            "newcomer": f"newcomer-{target}",
            "role_change": await self._asked_for(Role.VIEWER, f"newcomer-{target}", target),
            "unwanted_role": await self._asked_for(Role.TRADER, f"newcomer-{target}", target),
            "break": await self._broken(target),
        }

    async def _asked_for(self, role: Role, who: str, target: str) -> str:
        """A role that waits for another person."""
        owner = self.owner(target)
        wish = Assignment(owner.tenant, who, role, Reach.ACCOUNT, self.accounts[target])
        asked = await self.access.ask(owner, wish, reason="floor", correlation="floor")
        assert isinstance(asked, Change), asked
        return asked.id

    async def _broken(self, target: str) -> str:
        """A break: the broker has money of which the books know nothing."""
        seat = self.node.lanes.get(self.accounts[target])
        assert seat is not None
        self.exchanges[target].ledger.cash += Decimal(5)
        seat.suspect("the floor")

        def found() -> list[str]:
            books = seat.lane.books.account
            return [] if books is None else list(books.breaks)

        await self.until(found)
        return found()[0]

    def _none(self) -> Things:
        """Names that look like everything and are nothing's."""
        there = self.things[THEIRS]
        letter = self.env.letter
        nothing = f"{letter}-NOTHING"
        return {
            "account": nothing,
            "login": "login-of-nobody",
            "program": "program-of-nobody",
            "order": _another(there["order"]),
            "group": _another(there["group"]),
            "rule": f"settings:{nothing}",
            "change": "chg-000000000000-00000000",
            "unwanted": "chg-000000000000-00000001",
            "newcomer": "newcomer-of-nobody",
            "role_change": "chg-000000000000-00000002",
            "unwanted_role": "chg-000000000000-00000003",
            "break": _another(there["break"]),
        }

    # Asking

    async def ask(
        self, method: str, path: str, *, token: str | None, body: Any = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, dict[str, Any]]:
        """A request straight into the listener that has the path; the status and the body."""
        return await Doors(self.app).ask(method, path, token=token, body=body, headers=headers)


@asynccontextmanager
async def floor(
    env: Env, *, base_url: str | None = None, clock: HandClock | None = None
) -> AsyncIterator[Floor]:
    made = Floor(env, base_url=base_url, clock=clock)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def _another(name: str) -> str:
    """A name of the same form that nobody has."""
    last = "0" if name[-1] != "0" else "1"
    return name[:-4] + last * 4
