"""Units to append, short to write."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.events import AccountOpened
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, order_id
from ordergate.core.orders.events import OrderAccepted, OrderAdopted
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.ports.journal import AnyEvent, Entry, Journal, OrderRow, Row, Stored, Taken, Unit

START: Final = datetime(2026, 1, 5, 14, 30, 0, 123456, tzinfo=UTC)
ALICE: Final = AccountId("P-alice")
BOB: Final = AccountId("P-bob")


def at(number: int) -> datetime:
    return START + timedelta(milliseconds=number)


def order(number: int) -> OrderId:
    """Order ids that sort by number."""
    return order_id(Env.PAPER, at_ms=1_767_623_400_000 + number, entropy=number)


def terms(account: AccountId, **changes: object) -> Terms:
    usual = Terms(
        account=account,
        symbol=Symbol("ESH4"),
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        limit_price=Decimal("4800.25"),
        time_in_force=TimeInForce.DAY,
    )
    return msgspec.structs.replace(usual, **changes)


def opened(account: AccountId) -> AccountOpened:
    return AccountOpened(
        account=account, at=at(0), broker="paper", broker_account="1", currency="USD", cash=Decimal("1000.50")
    )


def accepted(account: AccountId, number: int) -> OrderAccepted:
    return OrderAccepted(
        order_id=order(number), at=at(number), terms=terms(account), actor="tester", config_hash="c" * 64
    )


def adopted(account: AccountId, number: int, broker_order_id: str) -> OrderAdopted:
    return OrderAdopted(
        order_id=order(number),
        at=at(number),
        terms=terms(account),
        broker_order_id=broker_order_id,
        broker_client_order_id="by-hand",
    )


def entry(seq: int, event: AnyEvent, frame: bytes | None = None) -> Entry:
    return Entry(
        seq=seq,
        event=event,
        order_id=getattr(event, "order_id", None),
        correlation=f"request-{seq}",
        frame=frame if frame is not None else b'{"seq":%d}' % seq,
    )


def order_row(account: AccountId, number: int, **changes: object) -> OrderRow:
    usual = OrderRow(
        id=order(number),
        account=account,
        client_order_id=None,
        symbol="ESH4",
        status="accepted",
        open=True,
        accepted_at=at(number),
        body=b'{"order":%d}' % number,
    )
    return msgspec.structs.replace(usual, **changes)


def row(key: str, text: str | None = None) -> Row:
    return Row(key=key, body=(text or f'{{"{key}":1}}').encode())


def receipt(account: AccountId, key: str, *, number: int | None = None, **changes: object) -> Receipt:
    usual = Receipt(
        scope=Scope(Env.PAPER, "tenant", "client", "POST /v1/orders", key),
        fingerprint=b"f" * 32,
        account=account,
        order=None if number is None else order(number),
        status=201,
        body=None,
        at=at(7),
    )
    return msgspec.structs.replace(usual, **changes)


class Owner:
    """Who owns one account, and keeps count of its stream."""

    def __init__(self, journal: Journal, account: AccountId = ALICE) -> None:
        self.journal = journal
        self.account = account
        self.taken = Taken(epoch=0, head=0, stream_id="", last_hash=b"")
        self.head = 0

    async def take(self) -> Taken:
        self.taken = await self.journal.take(self.account)
        self.head = self.taken.head
        return self.taken

    def unit(self, *events: AnyEvent, **others: object) -> Unit:
        """The next unit; the owner counts it as written."""
        expected = self.head
        entries = tuple(entry(expected + 1 + index, event) for index, event in enumerate(events))
        self.head += len(entries)
        unit = Unit(account=self.account, epoch=self.taken.epoch, expected=expected, entries=entries)
        return msgspec.structs.replace(unit, **others)

    def place(self, number: int, **others: object) -> Unit:
        """A unit with an accepted order and its row."""
        rows = {"orders": (order_row(self.account, number),), **others}
        return self.unit(accepted(self.account, number), **rows)


async def taken(journal: Journal, account: AccountId = ALICE) -> Owner:
    owner = Owner(journal, account)
    await owner.take()
    return owner


async def read(
    journal: Journal, account: AccountId = ALICE, after: int = 0, upto: int | None = None
) -> list[Stored]:
    return [stored async for stored in journal.read(account, after=after, upto=upto)]
