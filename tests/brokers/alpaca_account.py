"""An Alpaca account behind a scripted server."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from ordergate.brokers.alpaca.access import Credentials, Keys, paper
from ordergate.brokers.alpaca.client import AlpacaBroker, AlpacaSettings
from ordergate.core.ids import Env, Paper
from ordergate.telemetry.secret import Secret
from tests.brokers import alpaca_documents as documents
from tests.brokers.sockets import says
from tests.brokers.world import ACCOUNT, FixedChance, HandClock

KEYS: Final = Keys(Env.PAPER, Secret("PKTEST"), Secret("very-secret"))
Alpaca: TypeAlias = AlpacaBroker[Paper]

ABSENT: Final = says(404, documents.error("order not found for x", 40410000))


def broker_of(url: str, clock: HandClock, credentials: Credentials[Paper] = KEYS, **tuned: Any) -> Alpaca:
    return AlpacaBroker(
        paper(credentials, trading_url=url),
        ACCOUNT,
        clock=clock,
        chance=FixedChance(),
        settings=AlpacaSettings(**tuned),
    )
