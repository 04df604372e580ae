"""One account's groups in memory, with the orders they are made of.

Part of the account's books: folded from the same events, owned by the same lane. A group's orders are
kept here for as long as the group is, however many other orders come and go meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from ordergate.core.contingent import group as groups
from ordergate.core.contingent import steps
from ordergate.core.contingent.events import AnyGroupEvent, LegReleased
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.tally import Situation
from ordergate.core.contingent.terms import GroupId, GroupKind
from ordergate.core.ids import OrderId
from ordergate.core.orders.order import Order

ENDED_KEPT_MAX: Final = 2_000


class GroupBooks:
    """`of_order` says which group an order belongs to; most belong to none.

    `flattening` are the active ones that look at every order of the account, `late` those that are over and
    of which an order has been heard since.
    """

    def __init__(self) -> None:
        self.active: dict[GroupId, Group] = {}
        self.of_order: dict[OrderId, GroupId] = {}
        self.orders: dict[OrderId, Order] = {}
        self.flattening: dict[GroupId, None] = {}
        self.late: dict[GroupId, None] = {}
        self._ended: OrderedDict[GroupId, Group] = OrderedDict()

    def get(self, group_id: GroupId) -> Group | None:
        return self.active.get(group_id) or self._ended.get(group_id)

    def closes(self, order_id: OrderId) -> bool:
        """True of an order by which a flatten closes what is held."""
        group_id = self.of_order.get(order_id)
        group = None if group_id is None else self.get(group_id)
        return group is not None and group.terms.kind is GroupKind.FLATTEN

    def all(self) -> Iterator[Group]:
        """Every group in memory, newest first."""
        yield from reversed(tuple(self.active.values()))
        yield from reversed(tuple(self._ended.values()))

    def kept(self) -> Iterator[Group]:
        """Every group in memory, the active ones first, each kind oldest first."""
        yield from self.active.values()
        yield from self._ended.values()

    def guarding(self, now: datetime) -> Iterator[Group]:
        """The active ones, and those that are over and have something left to exit after all."""
        yield from tuple(self.active.values())
        seen = Situation(now=now, orders=self.orders)
        for group_id in tuple(self.late):
            if steps.still_guards(group := self._ended[group_id], seen):
                yield group

    def show(
        self, groups: Iterable[Group], of_order: Mapping[OrderId, GroupId], orders: Iterable[Order]
    ) -> None:
        """Know these groups and their orders; for books that know nothing yet."""
        for group in groups:
            self._keep(group)
        self.of_order.update(of_order)
        self.orders.update((order.id, order) for order in orders)
        self.late.update(dict.fromkeys(self._ended))  # whichever of them it was

    def fold(self, event: AnyGroupEvent) -> Group:
        """Apply one event. Raises IllegalTransition and changes nothing."""
        before = self.get(event.group_id)
        after = groups.first(event) if before is None else groups.evolve(before, event)
        if isinstance(event, LegReleased):
            self.of_order[event.order_id] = event.group_id
        self._keep(after)
        return after

    def saw(self, order: Order) -> None:
        """An order of a group is now so."""
        self.orders[order.id] = order
        group_id = self.of_order.get(order.id)
        if group_id is not None and group_id in self._ended:
            self.late[group_id] = None

    def remember(self, group: Group) -> None:
        """Take an old group back into memory, folded from the journal's history."""
        for one in group.released:
            self.of_order[one.order_id] = group.id
        self._keep(group)

    def _keep(self, group: Group) -> None:
        if group.is_active:
            self.active[group.id] = group
            if group.terms.kind is GroupKind.FLATTEN:
                self.flattening[group.id] = None
            self._ended.pop(group.id, None)
            self.late.pop(group.id, None)
            return
        self.active.pop(group.id, None)
        self.flattening.pop(group.id, None)
        self._ended[group.id] = group
        self.forget(ENDED_KEPT_MAX)

    def forget(self, kept: int = 0) -> None:
        """Let go of the groups that ended first, but for so many."""
        while len(self._ended) > kept:
            _, oldest = self._ended.popitem(last=False)
            self.late.pop(oldest.id, None)
            for one in oldest.released:
                self.of_order.pop(one.order_id, None)
                self.orders.pop(one.order_id, None)
