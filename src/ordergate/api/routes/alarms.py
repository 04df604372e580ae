"""The alarms that stand: seen by whoever may see the account. Nobody clears one here: its cause does.

They are read from the books in memory, so an account that is being folded is named instead of shown empty.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import alarm_schemas
from ordergate.api.cursors import cursor_of
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.replies import json_object, json_reply, listed, named
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import entering, own, owned, place_in
from ordergate.api.routes.listings import AccountPath
from ordergate.core.access import Principal, Scope
from ordergate.core.accounts.alarm_words import AlarmView
from ordergate.core.ids import AccountId

_encode = msgspec.json.Encoder().encode


def alarm_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["accounts"])
    entered = Depends(entering(door, Scope.ACCOUNTS_READ))

    def page(
        accounts: tuple[AccountId, ...], query: alarm_schemas.AccountAlarmsQuery, listing: str
    ) -> Response:
        key = place_in(listing, query.cursor)
        standing = deps.alarms.of(accounts)
        left = [
            alarm
            for alarm in sorted(standing.alarms, key=_place, reverse=True)
            if (query.nature is None or alarm.nature == query.nature)
            and (query.lasting is None or alarm.lasting is query.lasting)
            and (key is None or _place(alarm) < key)
        ]
        shown = left[: query.limit]
        goes_on = cursor_of(listing, _place(shown[-1])) if len(left) > len(shown) else None
        return json_reply(
            json_object(
                listed("alarms", map(_encode, shown)),
                named("unread", standing.unread),
                named("next", goes_on),
            )
        )

    @router.get(
        "/v1/alarms",
        response_model=alarm_schemas.Alarms,
        responses=failing(400, 403, 404),
        summary="The alarms that stand, newest first",
    )
    async def list_alarms(
        query: Annotated[alarm_schemas.AlarmsQuery, Query()], principal: Principal = entered
    ) -> Response:
        listing = "alarms?" + query.model_dump_json(exclude={"limit", "cursor"})
        return page(owned(principal, query.account_id), query, listing)

    @router.get(
        "/v1/accounts/{account_id}/alarms",
        response_model=alarm_schemas.Alarms,
        responses=failing(400, 403, 404),
        summary="The alarms of an account that stand, newest first",
    )
    async def list_alarms_of_account(
        account_id: AccountPath,
        query: Annotated[alarm_schemas.AccountAlarmsQuery, Query()],
        principal: Principal = entered,
    ) -> Response:
        account = own(principal, account_id)
        listing = f"alarms of {account}?" + query.model_dump_json(exclude={"limit", "cursor"})
        return page((account,), query, listing)

    return router


def _place(alarm: AlarmView) -> str:
    """Where it is in a listing. Brokers' ids may be of any length, and a cursor may not."""
    named_by = hashlib.sha256(alarm.id.encode()).hexdigest()[:16]
    return f"{alarm.raised_at.isoformat(timespec='microseconds')}/{alarm.account_id}/{named_by}"
