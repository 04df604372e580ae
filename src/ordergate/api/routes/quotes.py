"""The last quote and the last trade of an instrument, for whoever does not follow them on the stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import market_schemas
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.market import last_prices
from ordergate.api.replies import plain
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, entering
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import Symbol
from ordergate.core.refusals import Code, Refusal


def quote_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["instruments"])
    entered = Depends(entering(door, Scope.MARKET_DATA_READ))

    @router.get(
        "/v1/quotes",
        response_model=market_schemas.LastPrices,
        responses=failing(400, 403, 404, 422),
        summary="The last quote and the last trade of an instrument",
    )
    async def show_quote(
        query: Annotated[market_schemas.QuotesQuery, Query()], principal: Principal = entered
    ) -> Response:
        symbol = Symbol(query.symbol)
        if symbol not in deps.instruments:
            raise Refused(Refusal(Code.UNKNOWN_INSTRUMENT, f"{symbol} is not listed here"))
        found = last_prices(deps.prices, symbol)
        if found is None:
            raise Refused(Refusal(Code.NO_PRICE, f"no price of {symbol} has come yet"))
        return plain(found)

    return router
