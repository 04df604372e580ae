"""Orders, newest first: also those that were placed elsewhere, through every page."""

from __future__ import annotations

from tests.api.asking import a_key, an_order
from tests.api.over_engine import client_of
from tests.engine.stage import ACCOUNT, ES, Stage
from tests.engine.test_adopted_in_place import adopted, by_hand

ORDER = an_order(account_id=ACCOUNT, symbol=ES, limit_price="4700")


async def test_pages_hold_adopted_orders_in_their_places_and_none_twice() -> None:
    async with Stage() as stage, client_of(stage) as client:
        by_hand(stage, "older")
        await stage.until(lambda: len(adopted(stage)) == 1)
        await stage.clock.move(1)
        own = (await client.post("/v1/orders", json=ORDER, headers=a_key())).json()["id"]
        await stage.clock.move(1)
        by_hand(stage, "newer")
        await stage.until(lambda: len(adopted(stage)) == 2)
        older, newer = adopted(stage)
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get("/v1/orders", params={"limit": "1", **cursor})).json()
            found += [order["id"] for order in page["orders"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert found == [newer, own, older]
