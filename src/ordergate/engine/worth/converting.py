"""The rates that an account is judged by at one moment: of the currencies that it needs, and no others.

Its valuation is expressed in the same currency at the same rates, so that what is asked for and what is
held are compared alike. An account that knows one currency needs none, and nothing is looked up. Decides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from ordergate.core.accounts.account import Account
from ordergate.core.ids import Symbol
from ordergate.core.risk.fx import AGE_MAX, Fx, Quoted, rates_of
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.valuation import Valuation
from ordergate.core.risk.view import ReferencePrice

References = Callable[[Symbol], ReferencePrice | None]


def converted(
    account: Account,
    valuation: Valuation,
    limits: Limits | None,
    references: References,
    currency: str | None = None,
) -> Fx | None:
    """None where everything, and the instrument asked about, is in the one currency of the limits."""
    if limits is None:
        return None
    home = limits.currency or account.currency
    elsewhere = valuation.abroad
    one_for_all = currency in (None, home) and account.currency == home == (valuation.home or home)
    if one_for_all and not (elsewhere or account.foreign_cash):
        return None
    needed = {account.currency, *account.foreign_cash, *elsewhere, valuation.home or home}
    if currency is not None:
        needed.add(currency)
    rates = rates_of(limits.fx_rates, quoted_by(references), home, sorted(needed))
    valuation.express(home, rates)
    return Fx(home, rates, AGE_MAX if limits.fx_max_age is None else limits.fx_max_age)


def quoted_by(references: References) -> Callable[[Symbol], Quoted | None]:
    """The prices of the market, as rates are made of them."""

    def quoted(symbol: Symbol) -> Quoted | None:
        found = references(symbol)
        return None if found is None else Quoted(found.price, found.at, found.source)

    return quoted
