"""One gateway, ready to be measured: its database, its counterparty, its client's token."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import yaml

from bench import bare_path, subject
from bench.processes import Cores, Running, running
from ordergate.wiring.gateway import migrate_all


class Broker(msgspec.Struct, frozen=True):
    """The counterparty: one for all gateways of a run, which log in with keys of their own."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def arrivals(self, key: str) -> dict[str, int]:
        """When each of the login's orders arrived, by what it is called there; forgotten after that."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.get("/arrivals", headers={"APCA-API-KEY-ID": key})
            return msgspec.json.decode(answer.content, type=dict[str, int])


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """A running gateway and what it takes to measure it."""

    port: int
    token: str
    key: str
    broker: Broker
    process: Running
    database: Any

    async def head(self) -> int:
        """How many events of the account are durable."""
        found = await self.database.fetchval(
            "select head from account_stream where account = $1", subject.ACCOUNT
        )
        return int(found)

    async def kinds(self, after: int) -> dict[str, int]:
        """How many events of each kind the account has after this one."""
        rows = await self.database.fetch(
            "select kind, count(*) as events from event where account = $1 and seq > $2 group by kind",
            subject.ACCOUNT,
            after,
        )
        return {row["kind"]: row["events"] for row in rows}


@contextlib.asynccontextmanager
async def broker(cores: Cores, folder: Path) -> AsyncIterator[Broker]:
    async with running("bench.counterparty", on=cores.around, errors=folder / "counterparty.log") as process:
        yield Broker(process.said["port"])


@contextlib.asynccontextmanager
async def stand(
    cores: Cores,
    folder: Path,
    name: str,
    *,
    dsn: str,
    broker: Broker,
    samples: Path | None = None,
    requests_per_minute: int = 0,
    tls: Mapping[str, str] | None = None,
    besides: Mapping[str, Any] = {},
) -> AsyncIterator[Stand]:
    """A gateway called `name`, whose state is in `folder` and in the database `dsn`. `besides` are settings.

    With `tls` it is spoken to over that; whoever asks gets a token himself then.
    """
    port = _free_port()
    plain = subject.settings_plain(folder / name, port=port, broker_url=broker.url, key=name)
    plain["brokers"]["counterparty"]["requests_per_minute"] = requests_per_minute
    plain |= besides
    if tls is not None:
        plain["tls"] = dict(tls)
    settings = folder / f"{name}.yaml"
    settings.write_text(yaml.safe_dump(plain), encoding="utf-8")
    await migrate_all(dsn)
    environment = {"DATABASE": dsn, "BROKER_KEY": name}
    if samples is not None:
        environment["SAMPLES"] = str(samples)
    errors = folder / f"{name}.log"
    database = await asyncpg.connect(dsn)
    try:
        async with running(
            "bench.subject", str(settings), on=cores.subject, errors=errors, **environment
        ) as process:
            secret = process.said["client_secret"]
            token = "" if tls is not None else await _token(port, subject.CLIENT, secret)
            yield Stand(port=port, token=token, key=name, broker=broker, process=process, database=database)
    finally:
        await database.close()


class BareStand(Stand, frozen=True, kw_only=True):
    """The same of a process that carries orders and decides nothing."""

    async def head(self) -> int:
        """How many units are durable, two of an order."""
        return int(await self.database.fetchval("select coalesce(sum(units), 0) from bare"))

    async def kinds(self, after: int) -> dict[str, int]:
        """Half of the units are the broker's answers."""
        return {"order_acknowledged": (await self.head() - after) // 2}


@contextlib.asynccontextmanager
async def bare_stand(cores: Cores, folder: Path, *, dsn: str, broker: Broker) -> AsyncIterator[BareStand]:
    """The bare path, with a database of its own."""
    database = await asyncpg.connect(dsn)
    environment = {"DATABASE": dsn, "BROKER_PORT": str(broker.port)}
    try:
        async with running(
            "bench.bare_path", on=cores.subject, errors=folder / "bare.log", **environment
        ) as process:
            yield BareStand(
                port=process.said["port"],
                token="none",
                key=bare_path.KEY,
                broker=broker,
                process=process,
                database=database,
            )
    finally:
        await database.close()


async def neighbours_token(stand: Stand) -> str:
    """Of another client, which may do the same."""
    return await _token(stand.port, subject.NEIGHBOUR, stand.process.said["neighbours_secret"])


async def _token(port: int, client_id: str, secret: str) -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"http://127.0.0.1:{port}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client_id, secret),
        )
    return str(json.loads(answer.content)["access_token"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
