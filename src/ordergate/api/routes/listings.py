"""What there is to read: orders, their events, accounts, positions, balances, executions.

Queries are validated by FastAPI, every page is authorised by itself, and the stored JSON is joined
into lists as bytes.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from msgspec.structs import asdict
from starlette.responses import Response

from ordergate.api import account_schemas, schemas
from ordergate.api.cursors import cursor_of
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.replies import aged, json_object, json_reply, listed, named, plain
from ordergate.api.requests import ACCOUNT_ID
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import NO_SUCH_ACCOUNT, Refused, entering, own, owned, place_in, seen
from ordergate.api.routes.orders import NO_SUCH_ORDER
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, OrderId, Symbol, is_order_id
from ordergate.core.instruments import Instrument
from ordergate.core.money import text
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.views import BreakQuery, OrderQuery, Page

AccountPath = Annotated[str, Path(pattern=f"^{ACCOUNT_ID}$", examples=["P-DEMO"])]
OrderPath = Annotated[str, Path(max_length=40, examples=["P-01HZX3K9QW5V7M2N4B"])]
Nothing = Annotated[schemas.NoQuery, Query()]
Paged = Annotated[schemas.PageQuery, Query()]


def order_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["orders"])
    entered = Depends(entering(door, Scope.ORDERS_READ))

    @router.get(
        "/v1/orders",
        response_model=schemas.Orders,
        responses=failing(400, 403, 404),
        summary="List orders, newest first",
    )
    async def list_orders(
        query: Annotated[schemas.OrdersQuery, Query()], principal: Principal = entered
    ) -> Response:
        accounts = owned(principal, query.account_id)
        listing = "orders?" + query.model_dump_json(exclude={"limit", "cursor"})
        key = place_in(listing, query.cursor)
        page = await seen(deps, principal).orders(
            OrderQuery(
                accounts=accounts,
                limit=query.limit,
                before=None if key is None else OrderId(key),
                status=query.status,
                open=query.open,
                symbol=query.symbol,
                client_order_id=query.client_order_id,
            )
        )
        return _page("orders", listing, page)

    @router.get(
        "/v1/orders/{order_id}/events",
        response_model=schemas.Events,
        responses=failing(400, 403, 404),
        summary="Everything that happened to an order, oldest first",
    )
    async def list_order_events(order_id: OrderPath, _: Nothing, principal: Principal = entered) -> Response:
        frames: list[bytes] = []
        if is_order_id(deps.env, order_id):
            frames = await seen(deps, principal).order_events(OrderId(order_id), tuple(principal.accounts))
        if not frames:
            raise Refused(NO_SUCH_ORDER)
        return json_reply(json_object(listed("events", frames)))

    return router


def account_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["accounts"])
    entered = Depends(entering(door, Scope.ACCOUNTS_READ))

    @router.get(
        "/v1/accounts", response_model=schemas.Accounts, responses=failing(400, 403), summary="List accounts"
    )
    async def list_accounts(_: Nothing, principal: Principal = entered) -> Response:
        found = []
        for account in sorted(principal.accounts):
            balances = await seen(deps, principal).balances(account)
            if balances:
                found.append(_summary(deps, account, balances))
        return json_reply(json_object(listed("accounts", found)))

    @router.get(
        "/v1/accounts/{account_id}",
        response_model=account_schemas.Account,
        responses=failing(400, 403, 404),
        summary="One account as of one moment, and what it is worth at the last prices",
    )
    async def show_account(account_id: AccountPath, _: Nothing, principal: Principal = entered) -> Response:
        account = own(principal, account_id)
        views = seen(deps, principal)
        snapshot = await views.snapshot(account)
        if snapshot is None:
            raise Refused(NO_SUCH_ACCOUNT)
        breaks = await views.breaks(BreakQuery(accounts=(account,), limit=schemas.PAGE_MAX, open=True))
        every = account_schemas.BreaksQuery(account_id=account_id, open=True)
        now, worth = deps.clock.now(), deps.worth.of(account, snapshot)
        if not principal.may(Scope.MARKET_DATA_READ):
            worth = worth.without_prices()
        body = json_object(
            named("id", account_id),
            named("env", deps.env.value),
            named("stream_id", snapshot.stream_id),
            named("seq", snapshot.seq),
            named("open_orders", len(snapshot.orders)),
            listed("balances", snapshot.balances),
            listed("breaks", [aged(body, now) for body in breaks.bodies]),
            named("breaks_next", None if breaks.next is None else cursor_of(every.listing(), breaks.next)),
            *(named(name, value) for name, value in asdict(worth).items()),
        )
        return json_reply(body)

    @router.get(
        "/v1/accounts/{account_id}/positions",
        response_model=schemas.Positions,
        responses=failing(400, 403, 404),
        summary="Positions",
    )
    async def list_positions(account_id: AccountPath, _: Nothing, principal: Principal = entered) -> Response:
        positions = await seen(deps, principal).positions(own(principal, account_id))
        return json_reply(json_object(listed("positions", positions)))

    @router.get(
        "/v1/accounts/{account_id}/balances",
        response_model=schemas.Balances,
        responses=failing(400, 403, 404),
        summary="Balances",
    )
    async def list_balances(account_id: AccountPath, _: Nothing, principal: Principal = entered) -> Response:
        balances = await seen(deps, principal).balances(own(principal, account_id))
        return json_reply(json_object(listed("balances", balances)))

    @router.get(
        "/v1/accounts/{account_id}/executions",
        response_model=schemas.Executions,
        responses=failing(400, 403, 404),
        summary="List executions, newest first",
    )
    async def list_executions(
        account_id: AccountPath, query: Paged, principal: Principal = entered
    ) -> Response:
        account = own(principal, account_id)
        listing = f"executions of {account_id}"
        key = place_in(listing, query.cursor)
        page = await seen(deps, principal).executions(account, limit=query.limit, after=key)
        return _page("executions", listing, page)

    return router


def instrument_listings(deps: Deps, door: Door) -> APIRouter:
    """Instruments are no secret among clients: any valid token may see them."""
    router = APIRouter(tags=["instruments"])
    entered = Depends(entering(door))

    @router.get(
        "/v1/instruments",
        response_model=schemas.Instruments,
        responses=failing(400),
        summary="List instruments",
    )
    async def list_instruments(_: Nothing, principal: Principal = entered) -> Response:
        found = sorted(deps.instruments.values(), key=lambda instrument: instrument.symbol)
        return plain({"instruments": [_instrument(instrument) for instrument in found]})

    @router.get(
        "/v1/instruments/{symbol:path}",
        response_model=schemas.Instrument,
        responses=failing(400, 404),
        summary="One instrument; a slash in its symbol may stand as it is",
    )
    async def show_instrument(
        symbol: Annotated[str, Path(max_length=64, examples=["ESM4"])],
        _: Nothing,
        principal: Principal = entered,
    ) -> Response:
        instrument = deps.instruments.get(Symbol(symbol))
        if instrument is None:
            raise Refused(Refusal(Code.NOT_FOUND, "there is no such instrument"))
        return plain(_instrument(instrument))

    return router


def _page(name: str, listing: str, page: Page) -> Response:
    goes_on = None if page.next is None else cursor_of(listing, page.next)
    return json_reply(json_object(listed(name, page.bodies), named("next", goes_on)))


def _summary(deps: Deps, account: AccountId, balances: list[bytes]) -> bytes:
    return json_object(named("id", account), named("env", deps.env.value), listed("balances", balances))


def _instrument(instrument: Instrument) -> dict[str, str | list[str]]:
    return {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "asset_class": instrument.asset_class.value,
        "currency": instrument.currency,
        "tick": text(instrument.tick),
        "lot": text(instrument.lot),
        "multiplier": text(instrument.multiplier),
        "calendar": instrument.calendar,
        "aliases": list(instrument.aliases),
    }
