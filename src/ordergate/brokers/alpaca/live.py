"""Real money: Alpaca's live host, which nothing else in the package knows.

An installation for paper is without this file, and so without the host. Whoever wants live imports it where
it is needed, and is told that it is not there.
"""

from __future__ import annotations

from typing import Final

from ordergate.brokers.alpaca.access import DATA, Access, Credentials, house
from ordergate.core.ids import Env, Live

_HOST: Final = "https://api.alpaca.markets"


def live(credentials: Credentials[Live]) -> Access[Live]:
    """Alpaca's live host and no other."""
    return Access(env=Env.LIVE, trading=house(_HOST), data=house(DATA), credentials=credentials)
