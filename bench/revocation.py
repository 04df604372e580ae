"""How long a revocation takes to be felt: on REST, and on a stream that is open.

Starts a whole gateway, and takes a client's right from it as an administrator would: beside the process, in
the database. Prints the longest and the median of many rounds, in seconds; 5 is the bound.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.wiring import databases, registry

ROUNDS: Final = 10
PATIENCE_S: Final = 30.0
START_S: Final = 120.0
POLL_S: Final = 0.02
NOT_AUTHENTICATED: Final = 4001


def started(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "ordergate", "run", "--port", "0", "--venue-port", "0"]
    process = subprocess.Popen(
        [*command, "--data-dir", str(folder / "data"), "--ready-file", str(ready)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("the gateway did not start")
        time.sleep(0.1)
    return process, json.loads(ready.read_text(encoding="utf-8"))


async def one_round(told: dict[str, Any], folder: Path, number: int) -> tuple[float, float]:
    """Seconds until REST refuses, and until the stream is closed."""
    settings, name = databases.settings_of(None, folder / "data"), f"bench-{number}"
    accounts = [AccountId("P-DEMO")]
    secret = await asyncio.to_thread(
        registry.add, settings, name, scopes=list(Scope), accounts=accounts, replace=False
    )
    assert secret is not None
    async with httpx.AsyncClient(base_url=told["base_url"], timeout=PATIENCE_S, trust_env=False) as http:
        token = await _token(http, name, secret.reveal())
        bearer = {"authorization": f"Bearer {token}"}
        assert (await http.get("/v1/accounts", headers=bearer)).status_code == 200
        async with connect(told["stream_url"], additional_headers=bearer) as socket:
            await socket.recv()
            taken = asyncio.create_task(asyncio.to_thread(registry.disable, settings, name))
            await taken
            began = time.monotonic()
            return await asyncio.gather(_refused(http, bearer, began), _closed(socket, began))


async def _token(http: httpx.AsyncClient, name: str, secret: str) -> str:
    """The gateway notices a new client within seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            form = {"grant_type": "client_credentials"}
            answer = await http.post("/oauth/token", data=form, auth=(name, secret))
            if answer.status_code == 200:
                token: str = answer.json()["access_token"]
                return token
            await asyncio.sleep(13 if answer.status_code == 429 else 1)


async def _refused(http: httpx.AsyncClient, bearer: dict[str, str], began: float) -> float:
    async with asyncio.timeout(PATIENCE_S):
        while (await http.get("/v1/accounts", headers=bearer)).status_code == 200:
            await asyncio.sleep(POLL_S)
    return time.monotonic() - began


async def _closed(socket: Any, began: float) -> float:
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != NOT_AUTHENTICATED:
                raise
    return time.monotonic() - began


async def rounds(told: dict[str, Any], folder: Path) -> list[tuple[float, float]]:
    return [await one_round(told, folder, number) for number in range(ROUNDS)]


async def measure() -> dict[str, list[float]]:
    """Seconds of every round: until REST refuses, and until an open stream is closed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process, told = await asyncio.to_thread(started, folder)
        try:
            measured = await rounds(told, folder)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE_S)
    by_way = zip(("rest", "stream"), zip(*measured, strict=True), strict=True)
    return {what: [round(one, 3) for one in taken] for what, taken in by_way}


def main() -> None:
    for what, taken in asyncio.run(measure()).items():
        longest, median = max(taken), statistics.median(taken)
        print(f"{what:16} longest {longest:5.2f} s   median {median:5.2f} s")  # what it is for


if __name__ == "__main__":
    main()
