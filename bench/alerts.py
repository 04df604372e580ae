"""How soon trader and risk are told of a denial, and of an execution, by a whole gateway over real HTTP.

    python -m bench.alerts --rounds 20

A house of its own as `ordergate run` starts it, with two endpoints on this machine that take alerts and the
drop copy. Each message's signature is checked by the reference library; its time is from the event's own to
its arrival, by the one clock of this machine. The kept drop copy is read over REST as well.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from rich.console import Console
from standardwebhooks import Webhook

from bench.figures import commit
from bench.kill import RESULTS, house, prepare
from ordergate.cli.profiles import find
from ordergate.cli.rehearsal import Person

WAIT_S_MAX: Final = 60.0
LOOK_S: Final = 0.01
ENDPOINTS: Final = ("trader", "risk")
DENIED: Final = "order_denied"
FILLED: Final = "order_filled"


class Arrival(NamedTuple):
    """One message that was taken, and when."""

    kind: str
    order: str
    happened_at: datetime
    at: datetime

    @property
    def took_ms(self) -> float:
        return round((self.at - self.happened_at).total_seconds() * 1000, 1)


class Receiver:
    """An endpoint for webhooks, which takes what is signed as it should be and refuses everything else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = "whsec_" + base64.b64encode(name.encode().ljust(32, b".")).decode()
        self.arrived: list[Arrival] = []
        self.forged = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{self.name}"

    def of(self, kind: str, order: str) -> Arrival | None:
        return next((one for one in self.arrived if (one.kind, one.order) == (kind, order)), None)

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(WAIT_S_MAX)

    def take(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status to answer with."""
        now = datetime.now(UTC)
        try:
            told = Webhook(self.secret).verify(body, dict(headers))
        except Exception:  # whatever the judge says against it
            self.forged += 1
            return 401
        data = told["data"]
        order = str(data.get("order", {}).get("id", ""))
        self.arrived.append(Arrival(told["type"], order, datetime.fromisoformat(data["at"]), now))
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(take(body, {name.lower(): its for name, its in self.headers.items()}))
                self.end_headers()

            def log_message(self, *said: object) -> None:
                """Nothing: the measurement speaks for itself."""

        return Handler


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from an event to its arrival, of every round: by endpoint, and in the kept drop copy."""

    alert_ms: dict[str, list[float]]
    drop_copy_ms: dict[str, list[float]]
    kept_ms: list[float]
    forged: int


def measure(folder: Path, rounds: int) -> Told:
    """A denial and an execution in each round, one after the other. Raises TimeoutError."""
    receivers = [Receiver(name) for name in ENDPOINTS]
    secrets = folder / "hooks"
    secrets.mkdir(parents=True)
    for one in receivers:
        (secrets / one.name).write_text(one.secret, encoding="utf-8")
        (secrets / one.name).chmod(0o600)
    hooks = [
        {"name": one.name, "url": one.url, "secrets": [{"file": str(secrets / one.name)}],
         "streams": ["alerts", "drop_copy"]}
        for one in receivers
    ]  # fmt: skip
    data = folder / "data"
    prepare(data, surveillance=hooks)
    with receivers[0].serving(), receivers[1].serving(), house(data):
        return asyncio.run(_rounds(data / "client.json", receivers, rounds))


async def _rounds(profile: Path, receivers: Sequence[Receiver], rounds: int) -> Told:
    person = Person(find(profile))
    told = Told(
        alert_ms={one.name: [] for one in receivers},
        drop_copy_ms={one.name: [] for one in receivers},
        kept_ms=[],
        forged=0,
    )
    try:
        await person.log_in()
        for _ in range(rounds):
            denied = await _placed(person, quantity="10000000", expected=422)
            for one in receivers:
                told.alert_ms[one.name].append((await _heard(one, DENIED, denied)).took_ms)
            filled = await _placed(person, quantity="1", expected=201)
            told.kept_ms.append(await _kept(person, filled))
            for one in receivers:
                told.drop_copy_ms[one.name].append((await _heard(one, FILLED, filled)).took_ms)
    finally:
        await person.close()
    return msgspec.structs.replace(told, forged=sum(one.forged for one in receivers))


async def _placed(person: Person, *, quantity: str, expected: int) -> str:
    """An order at the market, and its id."""
    account = person.profile.account_id
    order = {"account_id": account, "symbol": "AAPL", "side": "buy", "type": "market"}
    status, said = await person.ask(
        "POST", "/v1/orders", {**order, "quantity": quantity, "time_in_force": "day"}
    )
    if status != expected:
        raise RuntimeError(f"the order was answered {status}: {said}")
    return str(said.get("order_id") or said["id"])


async def _heard(receiver: Receiver, kind: str, order: str) -> Arrival:
    found: list[Arrival] = []

    def arrived() -> bool:
        one = receiver.of(kind, order)
        found.extend([] if one is None else [one])
        return bool(found)

    await _until(arrived)
    return found[0]


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while not true():
            await asyncio.sleep(LOOK_S)


async def _kept(person: Person, order: str) -> float:
    """How long after its execution it could be read from the drop copy."""
    async with asyncio.timeout(WAIT_S_MAX):
        after = 0
        while True:
            _, page = await person.ask("GET", "/v1/drop-copy", after=after, limit=500)
            now = datetime.now(UTC)
            for entry in page["entries"]:
                event, after = entry["event"], entry["number"]
                if event["kind"] == FILLED and event["order"]["id"] == order:
                    return round((now - datetime.fromisoformat(event["at"])).total_seconds() * 1000, 1)
            await asyncio.sleep(LOOK_S)


def figures(told: Told) -> dict[str, Any]:
    """Half of them, and the slowest, of each."""
    return {
        "alert_ms": {name: _summary(its) for name, its in told.alert_ms.items()},
        "drop_copy_ms": {name: _summary(its) for name, its in told.drop_copy_ms.items()},
        "drop_copy_readable_ms": _summary(told.kept_ms),
        "rounds": len(told.kept_ms),
        "refused_signatures": told.forged,
    }


def _summary(took: Sequence[float]) -> dict[str, float]:
    return {"p50": round(statistics.median(took), 1), "max": max(took)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.alerts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="og-alerts-") as folder:
        found = figures(measure(Path(folder), asked.rounds))
    now = datetime.now(UTC)
    told = {"at": now.isoformat(timespec="seconds"), "commit": commit(), **found}
    asked.results.mkdir(parents=True, exist_ok=True)
    kept = asked.results / f"alerts-{now:%Y%m%dT%H%M%SZ}.json"
    kept.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    Console().print(json.dumps(found, indent=2), markup=False)


if __name__ == "__main__":
    main()
