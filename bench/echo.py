"""The yardstick for REST: FastAPI reads an order with pydantic and gives it back. Nothing else.

python -m bench.echo
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Literal

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Order(BaseModel):
    """The body of POST /v1/orders, in the plainest pydantic."""

    model_config = ConfigDict(extra="forbid")

    account_id: str
    symbol: str
    side: Literal["buy", "sell"]
    type: Literal["market", "limit", "stop", "stop_limit"]
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: Literal["day", "gtc", "ioc", "fok"] = "day"
    client_order_id: str | None = None
    extended_hours: bool = False
    strategy: str | None = None


app = FastAPI()


@app.post("/v1/orders", status_code=201)
async def echo(order: Order) -> Order:
    return order


async def main() -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http="httptools",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(json.dumps({"port": server.servers[0].sockets[0].getsockname()[1]}), flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main())
