"""I11, of conduct: how fast, how often the same, at which price, by whom; and what two persons let past.

Held against what the journal approved under the same limits before. What was refused counts with the gateway,
too, and not here: what is not allowed even so was never allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.events import OverrideUsed
from ordergate.core.contingent.events import GroupAccepted, LegReleased
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.overrides import NEVER
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import ZERO, Known
from ordergate.simulation.governance import Bounds
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.controls import opens
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.listing import FIRST_PRICE, INSTRUMENTS

_HIGHEST: Final = Decimal("1.05")  # of the first price: no price of a run is as high
_HUNDRED: Final = Decimal(100)


class _Before(msgspec.Struct, frozen=True):
    """An order that was approved: when by the gateway's clock, and at which price of the market."""

    at: datetime
    said: tuple[object, ...]
    reference: Decimal | None
    under: str


class _Bucket(msgspec.Struct):
    """What may still be sent now, refilled evenly; of one length of one version of the limits."""

    left: float
    at: datetime


class WithinConduct(SightedChecker):
    """I11: nothing was approved that its conduct forbids."""

    id = "I11"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._before: dict[AccountId, list[_Before]] = {}
        self._buckets: dict[tuple[AccountId, str, int], _Bucket] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            event, order = entry.event, self.sight.audit.order(entry.order_id)
            if order is None or not isinstance(event, e.OrderAccepted | e.ReplaceRequested):
                continue
            version = self.sight.audit.governance.named(order.account, event.config_hash)
            if version is None:
                continue
            is_plain = len(linked.unit.entries) == 1 and self.sight.audit.bundles.of(order.id) is None
            if is_plain:
                for what in self._broken(order, event, version.bounds):
                    self.violated(f"{order.id} was approved: {what}")
            for seconds, most in version.bounds.messages.items():
                if self._is_too_fast(order.account, event, seconds, most) and is_plain:
                    self.violated(f"{order.id} was approved: more than {most} messages in {seconds} s")
            if isinstance(event, e.OrderAccepted) and not _is_released(linked):
                before = _Before(event.at, _said(order.terms), event.reference_price, event.config_hash)
                self._before.setdefault(order.account, []).append(before)

    def _broken(
        self, order: Known, event: e.OrderAccepted | e.ReplaceRequested, bounds: Bounds
    ) -> Iterator[str]:
        terms = order.terms
        if bounds.identity and not (terms.strategy and terms.strategy_version and terms.user):
            yield "nobody answers for it"
        if not isinstance(event, e.OrderAccepted):
            return
        if terms.type is OrderType.MARKET and terms.symbol in bounds.spread:
            narrowest = 2 * INSTRUMENTS[terms.symbol].tick * _HUNDRED / (FIRST_PRICE[terms.symbol] * _HIGHEST)
            if narrowest > bounds.spread[terms.symbol]:
                yield f"the spread is {narrowest:.5f} % or more"
        if bounds.canary is not None and opens(self.sight.audit.account(order.account), order, event):
            yield from self._too_large_for_a_newcomer(order, bounds, bounds.canary)
        within = [
            one
            for one in self._before.get(order.account, ())
            if one.under == event.config_hash and one.at <= event.at
        ]
        for one in within:
            if one.said == _said(terms) and (event.at - one.at).total_seconds() < bounds.duplicate_s:
                yield f"an equal one was approved at {one.at}"
        yield from self._drifted(terms, event, bounds, within)

    def _too_large_for_a_newcomer(self, order: Known, bounds: Bounds, percent: Decimal) -> Iterator[str]:
        account, terms = self.sight.audit.account(order.account), order.terms
        leaves = sum(
            (
                one.worst_leaves
                for one in account.orders.values()
                if (one.terms.symbol, one.terms.side) == (terms.symbol, terms.side)
            ),
            ZERO,
        )
        worst = terms.side.sign * account.positions.get(terms.symbol, ZERO) + leaves
        if worst * _HUNDRED > bounds.most[terms.symbol, terms.side] * percent:
            yield f"{worst} of {terms.symbol} is possible, of a newcomer"

    def _drifted(
        self, terms: Terms, event: e.OrderAccepted, bounds: Bounds, within: list[_Before]
    ) -> Iterator[str]:
        percent = bounds.drift.get(terms.symbol)
        if percent is None or bounds.drift_s is None or event.reference_price is None:
            return
        gone_s = bounds.drift_s
        latest = max((one.at for one in self._before.get(terms.account, ())), default=event.at)
        seen = [
            one.reference
            for one in within
            if one.reference is not None
            and one.said[0] == terms.symbol
            and (event.at - one.at).total_seconds() < gone_s
            # A clock that ran ahead, and was set back since, made the gateway take it for long past.
            and (latest - one.at).total_seconds() < gone_s
        ]
        price = event.reference_price if terms.limit_price is None else terms.limit_price
        lowest, highest = min([event.reference_price, *seen]), max([event.reference_price, *seen])
        if terms.side is Side.BUY and price > lowest * (1 + percent / _HUNDRED):
            yield f"it buys at {price}, and {lowest} was the market's price a moment ago"
        if terms.side is Side.SELL and price < highest * (1 - percent / _HUNDRED):
            yield f"it sells at {price}, and {highest} was the market's price a moment ago"

    def _is_too_fast(
        self, account: AccountId, event: e.OrderAccepted | e.ReplaceRequested, seconds: int, most: int
    ) -> bool:
        key = (account, event.config_hash, seconds)
        bucket = self._buckets.setdefault(key, _Bucket(float(most), event.at))
        elapsed_s = (event.at - bucket.at).total_seconds()
        if elapsed_s < 0:  # set back; what was denied since emptied the gateway's, which refills
            elapsed_s = seconds
        bucket.left, bucket.at = min(bucket.left + elapsed_s * most / seconds, float(most)), event.at
        bucket.left -= 1
        if bucket.left > -_A_LITTLE:
            return False
        bucket.left = 0.0
        return True


def _is_released(linked: Linked) -> bool:
    """Whether this is a group's next order, which nobody asked for just now: it is no earlier equal one."""
    events = [entry.event for entry in linked.unit.entries]
    return any(isinstance(event, LegReleased) for event in events) and not any(
        isinstance(event, GroupAccepted) for event in events
    )


_A_LITTLE: Final = 0.001


def _said(terms: Terms) -> tuple[object, ...]:
    return (terms.symbol, terms.side, terms.type, terms.quantity, terms.limit_price, terms.stop_price)


class OverriddenOnce(SightedChecker):
    """I11: what was let past a control was let past once, as it was, by another person, and in time."""

    id = "I11"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._used: set[str] = set()

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            if not isinstance(entry.event, OverrideUsed):
                continue
            used, order = entry.event, self.sight.audit.order(entry.event.order_id)
            granted = self.sight.audit.governance.overrides.get(used.override_id)
            if granted is None or order is None:
                self.violated(f"{used.order_id} was let past by {used.override_id}, which nobody granted")
                continue
            if used.override_id in self._used:
                self.violated(f"{used.override_id} was used a second time, for {order.id}")
            self._used.add(used.override_id)
            unlabelled = msgspec.structs.replace(order.terms, client_order_id=granted.terms.client_order_id)
            second = granted.approved_by
            lifted = {one.control for one in used.lifted}
            if unlabelled != granted.terms or order.actor != granted.by.subject:
                self.violated(f"{order.id} is not what {used.override_id} was granted for")
            if used.at >= granted.expires_at:
                self.violated(f"{used.override_id} had expired when it let {order.id} past")
            if second is None or second.subject == granted.by.subject or second.client == granted.by.client:
                self.violated(f"{granted.by.subject} alone let {order.id} past {', '.join(sorted(lifted))}")
            if not lifted <= {*granted.controls} - NEVER:
                self.violated(f"{order.id} was let past {', '.join(sorted(lifted))}, which was not granted")
