"""How much of its limits each account uses now, as clients are shown it: encoded once for all who watch.

Looks at the lanes' own figures and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.utilization import Standing, Use, utilization
from ordergate.engine.accounts.lanes import Lanes, Narrower
from ordergate.engine.limits.in_force import LimitsInForce
from ordergate.engine.worth.converting import References, converted
from ordergate.ports.clock import Clock

FRESH_S: Final = 0.5

_encode: Final = msgspec.json.Encoder().encode


class UseView(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `why_none` says why it has no limits, and so takes no orders; `at` is since when it has

    been so.
    """

    account_id: str
    config_hash: str
    at: datetime
    why_none: str | None
    limits: tuple[Use, ...]


class LimitsUse:
    def __init__(self, lanes: Lanes, in_force: LimitsInForce, references: References, clock: Clock) -> None:
        self._references = references
        self._lanes = lanes
        self._in_force = in_force
        self._clock = clock
        self._told: dict[AccountId, tuple[float, UseView, bytes]] = {}

    def body(self, account: AccountId) -> bytes | None:
        """The JSON of a `UseView`, at most half a second old; None while the account is not open."""
        now = self._clock.monotonic()
        told = self._told.get(account)
        if told is not None and now - told[0] < FRESH_S:
            return told[2]
        view = self.of(account)
        if view is None:
            return None
        if told is not None and msgspec.structs.replace(view, at=told[1].at) == told[1]:
            self._told[account] = (now, told[1], told[2])
            return told[2]
        self._told[account] = (now, view, _encode(view))
        return self._told[account][2]

    def around(self, terms: Terms, user: str) -> list[Use]:
        """What bears on an order of this user, as it is now."""
        view = self.of(terms.account)
        return [
            use
            for use in (() if view is None else view.limits)
            if use.symbol in (None, terms.symbol)
            and use.user in (None, user)
            and use.strategy in (None, terms.strategy)
        ]

    def of(self, account: AccountId) -> UseView | None:
        seat = self._lanes.get(account)
        books = None if seat is None else seat.lane.books
        if seat is None or books is None or books.account is None:
            return None
        now, found = self._clock.now(), self._in_force.of(account)
        uses: list[Use] = []
        if seat.limits is not None:
            standing = Standing(
                now=now,
                account=books.account,
                exposure=books.exposure,
                buckets=seat.buckets,
                valuation=books.valuation,
                profit=books.profit,
                buying_power=seat.buying_power,
                fx=converted(books.account, books.valuation, seat.limits, self._references),
                tally=books.tally,
            )
            uses = utilization(seat.limits, standing, found.origins, found.soft)
            if seat.narrower is not None:
                uses += _of_who_asks(seat.narrower, standing, uses)
        return UseView(
            account_id=account,
            config_hash=config_hash(seat.limits),
            at=now,
            why_none=found.why or None,
            limits=tuple(uses),
        )


def _of_who_asks(narrower: Narrower, standing: Standing, of_all: Iterable[Use]) -> Iterator[Use]:
    """The limits of users and strategies that are other than everybody's."""
    known = {(use.limit, use.symbol, use.window_s, use.value) for use in of_all}
    for user, strategy in narrower.named:
        found = narrower.of(user, strategy)
        if found.limits is None:
            continue
        of_one = msgspec.structs.replace(standing, strategy=strategy)
        for use in utilization(found.limits, of_one, found.origins, found.soft):
            if (use.limit, use.symbol, use.window_s, use.value) not in known:
                yield msgspec.structs.replace(use, user=user, strategy=strategy)
