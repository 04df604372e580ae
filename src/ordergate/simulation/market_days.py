"""When the market of a run with sessions is open: eight seconds of twelve, and always once trading ends.

A plain function of the moment, so that every gateway of the run, whatever its clock says, has one calendar.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ordergate.core.ids import Symbol
from ordergate.core.risk.view import MarketHours
from ordergate.engine.commands.judging import Hours, always_unknown
from ordergate.simulation.ground import START
from ordergate.simulation.plan import Setting

OPEN_S: Final = 8
PERIOD_S: Final = 12
_FOR_EVER: Final = START + timedelta(days=365)


def hours_in(setting: Setting) -> Hours:
    """The calendar of a run; nobody asks for one in a run without sessions."""
    if not setting.sessions:
        return always_unknown
    trades_until = START + timedelta(seconds=setting.trading_s)

    def hours(symbol: Symbol, now: datetime) -> MarketHours:
        if now >= trades_until:
            return MarketHours(is_open=True, until=_FOR_EVER)
        period = (now - START) // timedelta(seconds=PERIOD_S)
        began = START + period * timedelta(seconds=PERIOD_S)
        closes = began + timedelta(seconds=OPEN_S)
        if now < closes:
            return MarketHours(is_open=True, until=_FOR_EVER if closes >= trades_until else closes)
        return MarketHours(is_open=False, until=min(began + timedelta(seconds=PERIOD_S), trades_until))

    return hours
