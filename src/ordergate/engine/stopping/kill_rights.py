"""Whose a stop is: what one tenant may stop and release, and what it sees of the stops of all.

A stop that would hold for accounts of another tenant is for whoever runs the gateway, at its own console. The
target of another tenant is as unknown as one that is not there. Engages and releases nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from ordergate.core.access import Principal
from ordergate.core.ids import Env, OrderId, Symbol, is_order_id
from ordergate.core.instruments import Instrument
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Level, Place
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.answering.answers import KillView, StopView
from ordergate.engine.stopping.kill_guard import is_account_of

_OF_ONE_TENANT = frozenset({Level.ORDER, Level.ACCOUNT, Level.TENANT})


class KillRights:
    def __init__(self, env: Env, lanes: Lanes, instruments: Mapping[Symbol, Instrument]) -> None:
        self._env = env
        self._lanes = lanes
        self._instruments = instruments

    def may_not_engage(self, principal: Principal, place: Place) -> Refusal | None:
        """Why this principal cannot engage a stop at this place, if so."""
        wrong = self._unknown_target(principal, place)
        if wrong is not None:
            return Refusal(Code.INVALID, "a stop of nothing would be none", {"target": wrong})
        return self.may_not_turn(principal, place)

    def may_not_turn(self, principal: Principal, place: Place) -> Refusal | None:
        """Why this principal has no say in a stop that it may see, if so."""
        if place[0] in _OF_ONE_TENANT or not self._holds_for_others(principal, place):
            return None
        words = "it holds for accounts of another tenant, too: the gateway's own console can do that"
        return Refusal(Code.FORBIDDEN, words)

    def hides(self, principal: Principal, place: Place) -> bool:
        """True of a stop of another tenant's, which is as good as none to this one."""
        return place[0] in _OF_ONE_TENANT and self._holds_for_others(principal, place)

    def shown(self, principal: Principal, view: KillView) -> KillView:
        """Of everything that is stopped, what this principal's orders may fall under."""
        accounts = {str(seat.lane.account) for seat in self._lanes if _is_own(principal, seat)}
        if len(accounts) == len(tuple(self._lanes)):
            return view  # as on every gateway with one tenant
        stops = tuple(
            _within(stop, accounts)
            for stop in view.stops
            if not self.hides(principal, (Level(stop.level), stop.target or ""))
        )
        widest = stops[0] if stops else None
        if widest is None:
            deaf = view.deaf
            return KillView(engaged=deaf is not None, level=Level.GLOBAL, reason=deaf, deaf=deaf)
        return KillView(
            engaged=True,
            level=widest.level,
            target=widest.target,
            grade=widest.grade,
            reason=widest.reason,
            actor=widest.actor,
            since=widest.since,
            deaf=view.deaf,
            stops=stops,
        )

    def _holds_for_others(self, principal: Principal, place: Place) -> bool:
        return any(not _is_own(principal, seat) and self._holds_for(place, seat) for seat in self._lanes)

    def _holds_for(self, place: Place, seat: Seat) -> bool:
        level, target = place
        match level:
            case Level.ORDER:
                return seat.lane.books.order(OrderId(target)) is not None
            case Level.INSTRUMENT | Level.STRATEGY | Level.USER:
                return True  # whatever its account, an order may name it
            case Level.ACCOUNT | Level.BROKER | Level.TENANT | Level.ENVIRONMENT | Level.GLOBAL:
                return is_account_of(place, self._env, seat)
            case _:
                assert_never(level)

    def _unknown_target(self, principal: Principal, place: Place) -> str | None:
        """What is wrong with the target; a misspelt one would only look like safety."""
        level, target = place
        own = [seat for seat in self._lanes if _is_own(principal, seat)]
        known: set[str] | None = None
        match level:
            case Level.GLOBAL:
                return "must be left out: the level is global" if target else None
            case Level.ORDER:
                return self._unknown_order(own, target)
            case Level.ACCOUNT:
                known = {str(seat.lane.account) for seat in own}
            case Level.BROKER:
                known = {seat.login for seat in own}
            case Level.TENANT:
                known = {seat.tenant for seat in own}
            case Level.ENVIRONMENT:
                known = {self._env.value}
            case Level.INSTRUMENT:
                return None if target in self._instruments else "is not listed here"
            case Level.STRATEGY | Level.USER:
                return None if target else "is required"
            case _:
                assert_never(level)
        return None if target in known else f"must be one of {', '.join(sorted(known))}"

    def _unknown_order(self, own: list[Seat], target: str) -> str | None:
        if not is_order_id(self._env, target):
            return "is not an order's id"
        if all(seat.lane.books.order(OrderId(target)) is None for seat in own):
            return "is not an order that may still work"
        return None


def _is_own(principal: Principal, seat: Seat) -> bool:
    return seat.tenant == principal.tenant or seat.lane.account in principal.accounts


def _within(stop: StopView, accounts: set[str]) -> StopView:
    """Orders that others have left are nobody else's business."""
    return msgspec.structs.replace(
        stop,
        failing=tuple(one for one in stop.failing if one.account_id in accounts),
    )
