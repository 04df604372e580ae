"""The drop copy by question: what was done and changed, by number, a page at a time, oldest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import surveillance_schemas
from ordergate.api.cursors import cursor_of, number_in
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.replies import json_object, json_reply, listed, named
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, entering, place_in
from ordergate.api.stream.drop_copy import never_given
from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Refusal

LISTING = "drop-copy"


def surveillance_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["surveillance"])
    entered = Depends(entering(door, Scope.SURVEILLANCE_READ))

    @router.get(
        "/v1/drop-copy",
        response_model=surveillance_schemas.DropCopy,
        responses=failing(400, 403),
        summary="Every execution, bust, override, stop and change of limits, oldest first",
    )
    async def list_copies(
        query: Annotated[surveillance_schemas.DropCopyQuery, Query()], principal: Principal = entered
    ) -> Response:
        key = place_in(LISTING, query.cursor)
        after = query.after if key is None else number_in(key)
        if isinstance(after, Refusal):
            raise Refused(after)
        page = await deps.drop_copy.page(principal, after, query.limit)
        if not page and after > (newest := await deps.drop_copy.newest()):
            raise Refused(never_given(after, newest))
        last = page[-1].number if page else after
        entries = [
            json_object(named("number", one.number), named("told_at", one.at), b'"event":' + one.notice.frame)
            for one in page
        ]
        return json_reply(
            json_object(listed("entries", entries), named("next", cursor_of(LISTING, str(last))))
        )

    return router
