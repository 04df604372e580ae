"""The API over a whole engine in memory instead of the twin's books; the trader is the engine's."""

from __future__ import annotations

import httpx
import msgspec

from ordergate.api.app import ApiDeps, create_app
from ordergate.core.access import Principal
from ordergate.engine.worth.appraising import Appraising
from tests.api.books import Books
from tests.api.people import TRADER, Directory, deps_of
from tests.engine.stage import TRADER as PRINCIPAL
from tests.engine.stage import Stage


def deps_over(stage: Stage, who: Principal = PRINCIPAL) -> ApiDeps:
    """Of the engine as it is now: a restart has another gate."""
    identity = Directory()
    identity.principals[TRADER] = who
    identity.seen.add(TRADER)
    prices = stage.node.prices
    return msgspec.structs.replace(
        deps_of(Books(), identity=identity),
        gate=stage.gate,
        views=stage.views,
        prices=prices,
        worth=Appraising(stage.node.lanes, prices.reference, stage.instruments, stage.clock),
        instruments=stage.instruments,
    )


def client_of(stage: Stage, who: Principal = PRINCIPAL) -> httpx.AsyncClient:
    """Requests straight into the application, as the trader."""
    transport = httpx.ASGITransport(create_app(deps_over(stage, who)))
    headers = {"authorization": f"Bearer {TRADER}"}
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)
