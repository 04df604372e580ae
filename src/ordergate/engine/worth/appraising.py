"""What an account is worth at the last prices, worked out when somebody asks.

It is for people and programs that look. Risk judges by its own valuation, and nothing here is stored. What is
held and the cash are as the snapshot shows them; a figure that cannot be known is None, and none is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from ordergate.core.accounts.views import BalanceView, PositionView
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO, text
from ordergate.core.risk.fx import AGE_MAX, rates_of
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.worth.converting import References, quoted_by
from ordergate.ports.clock import Clock
from ordergate.ports.views import Snapshot


class HeldView(PositionView, frozen=True, gc=False, kw_only=True):
    """A position that is open, and what it is worth now.

    `mark` is the middle of the last quote, or the last trade when that is newer, and `mark_at` its time.
    `unrealised_pnl` is in the instrument's currency, the multiplier included.
    """

    mark: str | None
    mark_at: datetime | None
    unrealised_pnl: str | None


class Appraisal(msgspec.Struct, frozen=True, kw_only=True):
    """`currency` is the account's own, in which all but the positions is.

    `equity` is all cash and what everything held adds to it. `buying_power` is what the broker said last, and
    `buying_power_at` when.
    """

    as_of: datetime
    currency: str | None
    equity: str | None
    buying_power: str | None
    buying_power_at: datetime | None
    positions: tuple[HeldView, ...]

    def without_prices(self) -> Appraisal:
        """For who may see the account and not the market: nothing from which a price could be told."""
        held = (replace(one, mark=None, mark_at=None, unrealised_pnl=None) for one in self.positions)
        return replace(self, equity=None, positions=tuple(held))


class Appraising:
    def __init__(
        self,
        lanes: Lanes,
        references: References,
        instruments: Mapping[Symbol, Instrument],
        clock: Clock,
    ) -> None:
        self._lanes = lanes
        self._references = references
        self._instruments = instruments
        self._clock = clock

    def of(self, account: AccountId, snapshot: Snapshot) -> Appraisal:
        now, seat = self._clock.now(), self._lanes.get(account)
        booked = None if seat is None else seat.lane.books.account
        currency = None if booked is None else booked.currency
        positions = [_position.decode(body) for body in snapshot.positions]
        held = tuple(self._held(position) for position in positions if Decimal(position.quantity) != ZERO)
        power = None if seat is None else seat.buying_power
        equity = None
        if seat is not None and currency is not None:
            equity = self._equity(seat, currency, snapshot.balances, held, now)
        return Appraisal(
            as_of=now,
            currency=currency,
            equity=None if equity is None else text(equity),
            buying_power=None if power is None else text(power.amount),
            buying_power_at=None if power is None else power.at,
            positions=held,
        )

    def _held(self, position: PositionView) -> HeldView:
        symbol = Symbol(position.symbol)
        reference, instrument = self._references(symbol), self._instruments.get(symbol)
        unrealised = None
        if reference is not None and instrument is not None:
            value = Decimal(position.quantity) * reference.price * instrument.multiplier
            unrealised = text(value - Decimal(position.cost))
        return HeldView(
            **msgspec.structs.asdict(position),
            mark=None if reference is None else text(reference.price),
            mark_at=None if reference is None else reference.at,
            unrealised_pnl=unrealised,
        )

    def _equity(
        self, seat: Seat, home: str, balances: tuple[bytes, ...], held: tuple[HeldView, ...], now: datetime
    ) -> Decimal | None:
        """None where a price, or a rate that is young enough, is missing."""
        owned: dict[str, Decimal] = {}
        for body in balances:
            balance = _balance.decode(body)
            owned[balance.currency] = owned.get(balance.currency, ZERO) + Decimal(balance.cash)
        for one in held:
            worth = self._worth(one)
            if worth is None:
                return None
            owned[one.currency] = owned.get(one.currency, ZERO) + worth
        return self._in(seat, home, owned, now)

    def _worth(self, held: HeldView) -> Decimal | None:
        """What it adds to cash: a security's value, and of a future what no cash shows yet."""
        instrument = self._instruments.get(Symbol(held.symbol))
        if instrument is None or held.unrealised_pnl is None:
            return None
        unrealised = Decimal(held.unrealised_pnl)
        return Decimal(held.cost) + unrealised if instrument.moves_cash_on_trade else unrealised

    def _in(self, seat: Seat, home: str, owned: Mapping[str, Decimal], now: datetime) -> Decimal | None:
        """The sum in one currency, at rates as risk uses them."""
        total = owned.get(home, ZERO)
        abroad = {currency: amount for currency, amount in owned.items() if currency != home and amount}
        if not abroad:
            return total
        limits = seat.limits
        said, oldest = (None, None) if limits is None else (limits.fx_rates, limits.fx_max_age)
        rates = rates_of(said, quoted_by(self._references), home, sorted(abroad))
        for currency, amount in abroad.items():
            rate = rates.get(currency)
            if rate is None or abs(now - rate.at) > (oldest or AGE_MAX):
                return None
            total += rate.cheap(amount)
        return total


_position = msgspec.json.Decoder(PositionView)
_balance = msgspec.json.Decoder(BalanceView)
