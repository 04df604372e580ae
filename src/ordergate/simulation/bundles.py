"""An auditor's own books of groups: what belongs together, folded from committed events by rules of its own.

It knows what was asked for, which orders were released for what, and whether the group is over; what those
orders have filled it is told. It decides nothing about what a group should do next.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.core.contingent import events as g
from ordergate.core.contingent.terms import GroupKind, GroupTerms, Role
from ordergate.core.ids import AccountId, OrderId

EXITS: Final = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS, Role.THEN, Role.FIRST, Role.SECOND, Role.TRAIL})


class Bundle(msgspec.Struct, kw_only=True):
    """One group. `roles` has each order that was ever released for it."""

    id: str
    account: AccountId
    terms: GroupTerms
    roles: dict[OrderId, Role] = {}
    triggered: Role | None = None
    cancel_asked: bool = False
    over: g.End | None = None

    @property
    def is_flatten(self) -> bool:
        return self.terms.kind is GroupKind.FLATTEN

    def orders(self, *roles: Role) -> list[OrderId]:
        return [order for order, role in self.roles.items() if role in roles]


class Bundles:
    """Every group of a run, and which of them an order belongs to."""

    def __init__(self) -> None:
        self.known: dict[str, Bundle] = {}
        self._of_order: dict[OrderId, Bundle] = {}

    def of(self, order: OrderId | None) -> Bundle | None:
        return None if order is None else self._of_order.get(order)

    def role(self, order: OrderId) -> Role | None:
        bundle = self._of_order.get(order)
        return None if bundle is None else bundle.roles[order]

    def fold(self, event: g.GroupEvent) -> None:
        if isinstance(event, g.GroupAccepted):
            self.known[event.group_id] = Bundle(id=event.group_id, account=event.account, terms=event.terms)
        bundle = self.known.get(event.group_id)
        if bundle is None:
            return  # it was denied
        match event:
            case g.LegReleased():
                bundle.roles[event.order_id], bundle.over = event.role, None
                self._of_order[event.order_id] = bundle
            case g.LegTriggered():
                bundle.triggered = event.role
            case g.GroupCancelRequested():
                bundle.cancel_asked = True
            case g.GroupEnded():
                bundle.over = event.reason
            case _:
                return
