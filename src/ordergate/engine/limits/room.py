"""Puts together what keeps the limits: the stream they are journalled in, their fold, and the desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.risk.compiling import Subject
from ordergate.core.risk.view import HoursOf
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.desks.changes_desk import change_id
from ordergate.engine.desks.control_stream import ControlStream
from ordergate.engine.limits.book import LimitsBook
from ordergate.engine.limits.changes import Planner
from ordergate.engine.limits.desk import LimitsDesk
from ordergate.engine.limits.in_force import LimitsInForce
from ordergate.engine.limits.past import Others
from ordergate.engine.limits.rehearsal import Rehearsal
from ordergate.engine.limits.use import LimitsUse
from ordergate.engine.worth.converting import References
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.journal import Journal


class Outside(Protocol):
    """Of everything outside the engine, what limits need."""

    @property
    def env(self) -> Env: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def chance(self) -> Chance: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def audience(self) -> Audience: ...
    @property
    def instruments(self) -> Mapping[Symbol, Instrument]: ...
    @property
    def hours(self) -> HoursOf: ...


def stream_of(env: Env) -> AccountId:
    """The control stream of the limits: what stops trading has its own, and never waits for this one."""
    return AccountId(f"{env.letter}-LIMITS")


def desk_for(
    outside: Outside,
    lanes: Lanes,
    subjects: Mapping[AccountId, Subject],
    on_change: Callable[[Seat], None],
    references: References,
) -> LimitsDesk:
    """`references` are the prices of the market, rates among them.

    `on_change` is told of every seat whose limits are others now.
    """

    def others(account: AccountId) -> Others:
        seat = lanes.get(account)
        if seat is None:
            return Others(has_kin=False, alone_in=frozenset())
        alone_in = (name for name, sums in seat.groups.items() if sums.absent | sums.present == {account})
        return Others(has_kin=len(seat.own_lanes) > 1, alone_in=frozenset(alone_in))

    in_force = LimitsInForce(lanes, subjects, outside.instruments, outside.clock, on_change)
    book = LimitsBook(in_force)
    stream = ControlStream(stream_of(outside.env), outside.journal, outside.audience, book)
    return LimitsDesk(
        stream,
        book=book,
        in_force=in_force,
        planner=Planner(book, in_force, lambda: change_id(outside.clock, outside.chance)),
        rehearsal=Rehearsal(outside.journal, outside.instruments, outside.hours, others),
        use=LimitsUse(lanes, in_force, references, outside.clock),
        clock=outside.clock,
        chance=outside.chance,
    )
