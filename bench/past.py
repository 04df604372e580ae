"""Gives an account a past: orders that were accepted and rejected, written by the engine's own lane."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bench.subject import ACCOUNT, CLIENT, INSTRUMENT, SYMBOL
from ordergate.core.idempotency import Receipt, Scope, fingerprint
from ordergate.core.ids import ENTROPY_BITS, AccountId, Env, OrderId, order_id
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders.events import AnyOrderEvent, OrderAccepted, OrderRejected
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.answering.envelopes import PLACE
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.journal import Committed
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring.system import SystemClock

AT_ONCE: Final = 2_000
_ROUTE: Final = f"{PLACE.method} {PLACE.path}"
_ES: Final = Instrument(
    symbol=SYMBOL,
    name=INSTRUMENT["name"],
    asset_class=AssetClass.FUTURE,
    currency="USD",
    tick=Decimal("0.25"),
    lot=Decimal(1),
    multiplier=Decimal(50),
    calendar="24/7",
)


class _Nobody:
    """An audience of none."""

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        """Nobody listens."""

    def tell_price(self, price: object) -> None:
        """Nobody listens."""


async def _nothing_else() -> None:
    """Nobody else decides anything here."""


async def write_past(dsn: str, orders: int) -> None:
    """The account must have been opened, and no gateway may be running on the database."""
    journal = await PostgresJournal.connect(dsn, Env.PAPER)
    try:
        lane = Lane(
            ACCOUNT,
            journal=journal,
            instruments={SYMBOL: _ES},
            audience=_Nobody(),
            follow=lambda lane, event, written: None,
            clock=SystemClock(),
            metrics=Metrics(),
        )
        await lane.recover(_nothing_else)
        for first in range(0, orders, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, orders))
            await asyncio.gather(*(_record(lane, number) for number in numbers))
    finally:
        await journal.close()


def _record(lane: Lane, number: int) -> Committed:
    now = datetime.now(UTC)
    order = order_id(Env.PAPER, at_ms=int(now.timestamp() * 1000), entropy=secrets.randbits(ENTROPY_BITS))
    events: list[AnyOrderEvent] = [
        OrderAccepted(
            order_id=order,
            at=now,
            terms=_terms(number),
            actor=CLIENT,
            config_hash="0" * 64,
            reference_price=Decimal("4800.125"),
        ),
        OrderRejected(order_id=order, at=now, reason="long ago", evidence="the answer of a counterparty"),
    ]
    return lane.record(events, correlation="the-past", receipt=_receipt(order, number, now)).committed


def _terms(number: int) -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1 + number % 9),
        limit_price=Decimal("4799.75"),
        time_in_force=TimeInForce.DAY,
        client_order_id=f"past-{number:010d}",
        strategy="a-strategy-with-a-name",
    )


def _receipt(order: OrderId, number: int, now: datetime) -> Receipt:
    scope = Scope(Env.PAPER, "default", CLIENT, _ROUTE, f"past-key-{number:012d}")
    return Receipt(
        scope=scope,
        fingerprint=fingerprint(PLACE.method, _ROUTE, ACCOUNT, {"number": str(number)}),
        account=ACCOUNT,
        order=order,
        status=201,
        body=None,
        at=now,
    )
