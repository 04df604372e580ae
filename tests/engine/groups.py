"""Groups of orders on the stage: how to ask for one, and what is true of it at the exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import GroupId, GroupKind, GroupTerms, Leg, LegType, Role
from ordergate.core.orders.terms import Side
from ordergate.engine.answering.answers import GroupAnswer
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage


def leg(role: Role, side: Side, kind: LegType, **prices: str) -> Leg:
    exact: dict[str, Any] = {name: Decimal(price) for name, price in prices.items()}
    return Leg(role=role, side=side, type=kind, **exact)


def bracket(quantity: int = 4, *, entry: str = "4800", trails: bool = False) -> GroupTerms:
    guard = {"trail_amount": "20"} if trails else {"stop_price": "4780"}
    kind = LegType.TRAILING_STOP if trails else LegType.STOP
    legs = (
        leg(Role.ENTRY, Side.BUY, LegType.LIMIT, limit_price=entry),
        leg(Role.TAKE_PROFIT, Side.SELL, LegType.LIMIT, limit_price="4820"),
        leg(Role.STOP_LOSS, Side.SELL, kind, **guard),
    )
    return terms(GroupKind.BRACKET, legs, quantity)


def oco(quantity: int = 4) -> GroupTerms:
    legs = (
        leg(Role.FIRST, Side.SELL, LegType.LIMIT, limit_price="4820"),
        leg(Role.SECOND, Side.SELL, LegType.STOP, stop_price="4780"),
    )
    return terms(GroupKind.OCO, legs, quantity)


def oto(quantity: int = 4, *, entry: str = "4800") -> GroupTerms:
    legs = (
        leg(Role.ENTRY, Side.BUY, LegType.LIMIT, limit_price=entry),
        leg(Role.THEN, Side.SELL, LegType.STOP_LIMIT, stop_price="4780", limit_price="4770"),
    )
    return terms(GroupKind.OTO, legs, quantity)


def trailing(quantity: int = 4, *, amount: str = "20") -> GroupTerms:
    legs = (leg(Role.TRAIL, Side.SELL, LegType.TRAILING_STOP, trail_amount=amount),)
    return terms(GroupKind.TRAILING_STOP, legs, quantity)


def terms(kind: GroupKind, legs: tuple[Leg, ...], quantity: int) -> GroupTerms:
    return GroupTerms(account=ACCOUNT, kind=kind, symbol=ES, quantity=Decimal(quantity), legs=legs)


async def placed(stage: Stage, asked: GroupTerms) -> GroupId:
    answer = await stage.node.groups.place(TRADER, asked, key=stage.key(), correlation="test")
    assert isinstance(answer, GroupAnswer), answer
    assert not answer.failed, answer.failed
    return answer.group_id


def group(stage: Stage, group_id: GroupId) -> Group:
    found = stage.lane.books.groups.get(group_id)
    assert found is not None
    return found


def has_ended(stage: Stage, group_id: GroupId) -> bool:
    found = stage.lane.books.groups.get(group_id)
    return found is not None and not found.is_active


def shown(answer: object) -> dict[str, Any]:
    assert isinstance(answer, GroupAnswer), answer
    told: dict[str, Any] = msgspec.json.decode(answer.body)
    return told


def move_market(stage: Stage, price: str) -> None:
    """The same price at the exchange and on the gateway's board."""
    stage.exchange.mark(ES, Decimal(price))
    stage.price(Decimal(price))


def at_exchange(stage: Stage, side: Side) -> list[tuple[str, Decimal]]:
    """What is open at the exchange on this side: type and quantity left."""
    return [
        (str(order.terms.type), order.leaves_qty)
        for order in stage.exchange.orders()
        if order.is_open and order.terms.side is side
    ]


def position(stage: Stage) -> Decimal:
    return stage.exchange.ledger.positions().get(ES, Decimal(0))
