"""The last look (R20): what is about to leave for a broker, against what the journal holds as approved.

The one place that places and replaces at brokers. What it compares with are the bytes that the journal
committed, handed over by the commit, or read back link by link where the commit was another process's
or long ago; never the lane's memory, from which what leaves is taken. Every approval is good for one
send, and another send needs a commit of its own. Nothing waits between the look and the wire.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.contingent.events import AnyGroupEvent, GroupAccepted, GroupEnded, LegReleased
from ordergate.core.contingent.tally import worst_leaves
from ordergate.core.contingent.terms import EXITS, GroupId, GroupKind, GroupTerms, Role
from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import ClOrdId, OrderId, cl_ord_id
from ordergate.core.money import ZERO, text
from ordergate.core.orders import events as e
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.order import Order, Replacement, as_replaced, asked_by
from ordergate.core.orders.terms import Terms
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.broker import Outcome, Unsent, Veto
from ordergate.ports.journal import Journal

HASHED_SINCE: Final = 2
"""The version of the events of an approval since which they have a hash of the content."""

_with: Final = msgspec.structs.replace
_accepted: Final = msgspec.json.Decoder(e.OrderAccepted)
_requested: Final = msgspec.json.Decoder(e.ReplaceRequested)
_group: Final = msgspec.json.Decoder(GroupAccepted)
_leg: Final = msgspec.json.Decoder(LegReleased)


class Withheld(msgspec.Struct, frozen=True):
    """Not sent, because it is not what was approved. Both sides, as evidence.

    What is `overtaken` leaves as it was approved, and is too much only since news came: a fill told
    after the cancel, a position that another order closed. Nothing is wrong but the moment.
    """

    approved: str
    leaving: str
    overtaken: bool = False

    @property
    def sides(self) -> dict[str, str]:
        return {"approved": self.approved, "leaving": self.leaving}


class _Held(msgspec.Struct):
    """What is approved of one order, as it was committed. `permits` says that one send is due.

    An order that was `adopted` was never approved here: it may be replaced, and not placed.
    """

    accepted: e.OrderAccepted | bytes | None = None
    adopted: e.OrderAdopted | None = None
    requested: e.ReplaceRequested | bytes | None = None
    leg: LegReleased | bytes | None = None
    group: GroupTerms | None = None
    corrupt: str | None = None
    permits: bool = False


class Egress:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._held: dict[OrderId, _Held] = {}  # bounded by the questions under way: see `forget`
        self._groups: dict[GroupId, GroupTerms] = {}

    @property
    def held(self) -> int:
        """Of how many orders an approval is kept."""
        return len(self._held)

    def committed(self, event: e.AnyOrderEvent | AccountEvent | AnyGroupEvent, written: bytes) -> None:
        """Take over what a commit approves: its bytes, of which nothing else has a copy."""
        match event:
            case e.OrderAccepted(order_id=order_id):
                held = self._of(order_id)
                held.accepted, held.permits = written, True
            case e.ReplaceRequested(order_id=order_id):
                self._of(order_id).requested = written
            case e.DispatchStarted(order_id=order_id):
                self._of(order_id).permits = True
            case LegReleased(order_id=order_id):
                self._of(order_id).leg = written
            case e.OrderDenied(order_id=order_id):
                self.forget(order_id)  # a leg that risk refused: nothing will be asked about it
            case GroupAccepted(group_id=group_id):
                self._groups[group_id] = _group.decode(written).terms
            case GroupEnded(group_id=group_id):
                self._groups.pop(group_id, None)
            case _:
                return

    async def prepare(self, seat: Seat, order_id: OrderId, *, replacing: bool = False) -> None:
        """Read from the journal what no commit of this process handed over. Raises Fault."""
        held = self._of(order_id)
        known = held.accepted is not None and not (replacing and held.requested is None)
        try:
            if not known:
                await self._read_order(order_id, held)
            await self._read_group(seat, order_id, held)
        except JournalCorrupt as corrupt:
            held.corrupt = str(corrupt)

    async def place(self, seat: Seat, order: Order, veto: Veto) -> Outcome | Withheld:
        """Compare and send what was compared, unless `veto` speaks against it at the last instant."""
        name, terms = order.cl_ord_id, order.terms
        held = self._of(order.id)
        withheld = _environment(seat, order) or _placing(held, order.id, name, terms)
        withheld = withheld or _child(held, seat, order, terms)
        if withheld is not None:
            return withheld
        held.permits = False
        outcome = await seat.broker.place(name, terms, veto)
        if isinstance(outcome, Unsent):
            held.permits = True  # not a byte of it left
        return outcome

    async def replace(self, seat: Seat, order: Order, asked: Replacement, veto: Veto) -> Outcome | Withheld:
        """The same for a replacement."""
        assert order.broker_order_id is not None
        held = self._of(order.id)
        name = cl_ord_id(order.id, asked.version)
        withheld = _environment(seat, order) or _replacing(held, order, asked)
        withheld = withheld or _child(held, seat, order, as_replaced(order.terms, asked))
        if withheld is not None:
            return withheld
        held.requested = None  # an approval is good for one send
        return await seat.broker.replace(order.broker_order_id, name, order.terms, asked, veto)

    def forget(self, order_id: OrderId) -> None:
        """Nothing is asked about the order any more; what is asked later is read from the journal."""
        self._held.pop(order_id, None)

    def _of(self, order_id: OrderId) -> _Held:
        held = self._held.get(order_id)
        if held is None:
            held = self._held[order_id] = _Held()
        return held

    async def _read_order(self, order_id: OrderId, held: _Held) -> None:
        requested: e.ReplaceRequested | None = None
        for stored in await self._journal.history(order_id):
            match stored.event:
                case e.OrderAccepted() as event:
                    held.accepted = event if stored.version >= HASHED_SINCE else _hashed(event)
                case e.OrderAdopted() as event:
                    held.adopted = event
                case e.ReplaceRequested() as event:
                    base = _base(held) if stored.version < HASHED_SINCE else None
                    requested = event if base is None else _hashed_replacement(event, base)
                case _:
                    continue
        held.requested = requested if held.requested is None else held.requested

    async def _read_group(self, seat: Seat, order_id: OrderId, held: _Held) -> None:
        group_id = seat.lane.books.groups.of_order.get(order_id)
        if group_id is None and held.leg is None:
            return
        leg = held.leg = _leg.decode(held.leg) if isinstance(held.leg, bytes) else held.leg
        held.group = self._groups.get(leg.group_id if leg is not None else GroupId(group_id or ""))
        if leg is not None and held.group is not None:
            return
        found = OrderId(leg.group_id if leg is not None else group_id or "")
        for stored in await self._journal.history(found):
            match stored.event:
                case GroupAccepted(terms=terms):
                    held.group = self._groups[GroupId(found)] = terms
                case LegReleased(order_id=released) as event if released == order_id:
                    held.leg = event
                case _:
                    continue


def _environment(seat: Seat, order: Order) -> Withheld | None:
    env, account = seat.broker.env, seat.lane.account
    if order.id[:1] != env.letter or order.terms.account != account:
        return Withheld(f"{env} {account}", f"{order.id} of {order.terms.account}")
    return None


def _placing(held: _Held, order_id: OrderId, name: ClOrdId, terms: Terms) -> Withheld | None:
    if held.corrupt is not None:
        return Withheld("what the journal no longer proves", held.corrupt)
    approved = _decoded(held)
    leaving = content_hash(order_id, 1, terms)
    if approved is None:
        return Withheld("nothing", _said(name, terms, leaving))
    if not held.permits:
        return Withheld("one send of it, which was made", _said(name, terms, leaving))
    known_as = cl_ord_id(approved.order_id, 1)
    if leaving != approved.content_hash or terms != approved.terms or name != known_as:
        return Withheld(_said(known_as, approved.terms, approved.content_hash), _said(name, terms, leaving))
    return None


def _replacing(held: _Held, order: Order, asked: Replacement) -> Withheld | None:
    """Every term of the order as it becomes: those that it began with, and what was approved of it since."""
    if held.corrupt is not None:
        return Withheld("what the journal no longer proves", held.corrupt)
    approved = _requested.decode(held.requested) if isinstance(held.requested, bytes) else held.requested
    base = _base(held)
    terms = as_replaced(order.terms, asked)
    name = cl_ord_id(order.id, asked.version)
    leaving = content_hash(order.id, asked.version, terms)
    if approved is None or base is None:
        return Withheld("nothing, or one send of it, which was made", _said(name, terms, leaving))
    known_as = cl_ord_id(approved.order_id, approved.version)
    becomes = as_replaced(base, asked_by(approved))
    if name != known_as or terms != becomes or leaving != approved.content_hash:
        return Withheld(_said(known_as, becomes, approved.content_hash), _said(name, terms, leaving))
    return None


def _decoded(held: _Held) -> e.OrderAccepted | None:
    if isinstance(held.accepted, bytes):
        held.accepted = _accepted.decode(held.accepted)
    return held.accepted


def _base(held: _Held) -> Terms | None:
    """The terms that an order began with, as they were committed."""
    began = _decoded(held) or held.adopted
    return None if began is None else began.terms


def _hashed(event: e.OrderAccepted) -> e.OrderAccepted:
    """What was written before there was a hash: its terms are all there is to compare."""
    return _with(event, content_hash=content_hash(event.order_id, 1, event.terms))


def _hashed_replacement(event: e.ReplaceRequested, base: Terms) -> e.ReplaceRequested:
    becomes = as_replaced(base, asked_by(event))
    return _with(event, content_hash=content_hash(event.order_id, event.version, becomes))


def _child(held: _Held, seat: Seat, order: Order, terms: Terms) -> Withheld | None:
    """An order of a group stays within the group: symbol, side, and all that its orders can fill."""
    group_id = seat.lane.books.groups.of_order.get(order.id)
    leg, parent = held.leg, held.group
    if group_id is None and leg is None:
        return None
    if not isinstance(leg, LegReleased) or parent is None or leg.group_id != group_id:
        return Withheld("no group", f"{order.id} as a part of {group_id}")
    if parent.kind is GroupKind.FLATTEN:
        return _closing(seat, parent, leg, order, terms)
    asked = parent.leg(leg.role)
    if terms.symbol != parent.symbol or (asked is not None and asked.side is not terms.side):
        return Withheld(f"{leg.role} of {parent.symbol}", f"{terms.side} {terms.symbol}")
    most = _filled_at_most(seat, group_id, order, leg.role) + terms.quantity
    approved = max(parent.quantity, _entered(seat, group_id)) if leg.role in EXITS else parent.quantity
    if most > approved:
        return Withheld(
            f"{text(approved)} in all for {group_id}",
            f"{text(most)} with {order.id}",
            overtaken=_others_live(seat, group_id, order, unmoved_since=_approved_at(held)) == ZERO,
        )
    return None


def _closing(seat: Seat, parent: GroupTerms, leg: LegReleased, order: Order, terms: Terms) -> Withheld | None:
    """A flatten has no quantity: its measure is what is held now, less what its other orders may close."""
    account = seat.lane.books.account
    held = ZERO if account is None else account.position(terms.symbol).quantity
    others = _others_live(seat, leg.group_id, order)
    may_close = -held * terms.side.sign - others
    fits = leg.role is Role.CLOSE and parent.symbol in (None, *seat.lane.books.names_of(terms.symbol))
    if not fits or leg.symbol != terms.symbol or terms.quantity - order.cum_qty > may_close:
        scope = parent.symbol or "every symbol"
        return Withheld(
            f"a close within {scope}, of {text(held)} {terms.symbol} held with {text(others)} under way",
            f"{leg.role} {terms.side} {text(terms.quantity)} {terms.symbol}",
            overtaken=fits and leg.symbol == terms.symbol and others == ZERO,
        )
    return None


def _approved_at(held: _Held) -> datetime | None:
    """When what is about to leave was approved: a replacement, or the order itself."""
    asked = _requested.decode(held.requested) if isinstance(held.requested, bytes) else held.requested
    approved = asked or _decoded(held)
    return None if approved is None else approved.at


def _others_live(
    seat: Seat, group_id: GroupId, order: Order, *, unmoved_since: datetime | None = None
) -> Decimal:
    """What the group's other orders in the same symbol may yet fill.

    With `unmoved_since`, without those that stood at the broker then, and of which news came afterwards:
    such as one that was complete until an execution was taken back.
    """
    groups = seat.lane.books.groups
    group = groups.get(group_id)
    own = () if group is None else (groups.orders.get(one.order_id) for one in group.released)
    names = seat.lane.books.names_of(order.terms.symbol)
    others = (one for one in own if one and one.id != order.id and one.terms.symbol in names)
    if unmoved_since is not None:
        others = (one for one in others if not _has_moved(one, unmoved_since))
    return sum((worst_leaves(one) for one in others), ZERO)


def _has_moved(order: Order, since: datetime) -> bool:
    stood = order.acknowledged_at is not None and order.acknowledged_at <= since
    return stood and order.updated_at > since


def _entered(seat: Seat, group_id: GroupId) -> Decimal:
    """What the entry has filled: more than was asked for, where the broker gave too much of it."""
    groups = seat.lane.books.groups
    group = groups.get(group_id)
    released = () if group is None else group.released
    entries = [groups.orders.get(one.order_id) for one in released if one.role is Role.ENTRY]
    return sum((one.cum_qty for one in entries if one is not None), ZERO)


def _filled_at_most(seat: Seat, group_id: GroupId, order: Order, role: Role) -> Decimal:
    """What the group's other orders on this side have filled, and may yet."""
    groups = seat.lane.books.groups
    group = groups.get(group_id)
    if group is None or role is Role.EVENING:
        return ZERO
    side = EXITS if role in EXITS else frozenset({role})
    total = ZERO
    for one in group.released:
        other = groups.orders.get(one.order_id)
        if other is None or other.id == order.id:
            continue
        if one.role in side:
            total += other.cum_qty + worst_leaves(other)
        elif one.role is Role.EVENING and role in EXITS:
            total -= other.cum_qty
    return total


def _said(name: ClOrdId, terms: Terms, content: str) -> str:
    what = f"{name} {terms.side} {text(terms.quantity)} {terms.symbol} {terms.type}"
    return f"{what} limit {terms.limit_price} stop {terms.stop_price} {terms.time_in_force} {content}"
