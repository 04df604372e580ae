"""Rehearses the kill switch on a running paper gateway and takes the times, as a client sees them.

Places orders that rest, goes on placing while everything is stopped, and watches until nothing works any
more and nothing is held. It may ask the venue for faults meanwhile. What it leaves behind is what was there
before: the stop is released, faults are taken back. Never in live.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import httpx
import msgspec

from ordergate.cli.profiles import Profile
from ordergate.core.risk.trading_state import REHEARSAL

PLACERS: Final = 8
POLL_S: Final = 0.02
FEED_PAUSE_S: Final = 0.005
WORKING_S_MAX: Final = 180.0
SWEPT_S_MAX: Final = 180.0
TOLD_S_MAX: Final = 30.0
PAGE: Final = 500
LEFT: Final = REHEARSAL

SCENES: Final = ("calm", "rate-limited", "broker-down")


class CannotRehearse(Exception):
    """Why not, in a sentence."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`prices` are where buys rest, far below the market; `hold` is bought at the market beforehand.

    `second` is another person's profile; without one the first asks twice, which a house of one allows.
    """

    profile: Profile
    second: Profile | None
    symbol: str
    orders: int
    prices: tuple[Decimal, Decimal]
    tick: Decimal
    hold: int
    scene: str
    scene_s: float
    venue_url: str | None = None
    venue_admin_token: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the moment at which the command to stop left; None where it did not come to that.

    `last_accepted_ms` is when the last answer came that an order was taken: it may have been decided before
    the stop and answered after it. `accepted_while_stopped` counts by when they were decided.
    `last_cancel_ms` is when nothing known to be at the broker was open any more, `nothing_left_ms` when what
    became of every order was known. `left` were open when patience ended.
    """

    scene: str
    orders: int
    engaged_ms: float
    last_accepted_ms: float | None
    first_refused_ms: float | None
    refused: int
    accepted_while_stopped: int
    last_cancel_ms: float | None
    nothing_left_ms: float | None
    flat_ms: float | None
    left: int
    failing: tuple[str, ...]


class Person:
    """One client's session with the gateway."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        limits = httpx.Limits(max_connections=PLACERS + 4)
        timeout = httpx.Timeout(40.0, connect=5.0)
        self._http = httpx.AsyncClient(
            base_url=profile.base_url, limits=limits, timeout=timeout, trust_env=not profile.is_local
        )
        self._token = ""

    async def log_in(self) -> None:
        if self.profile.client_secret is None:
            raise CannotRehearse("a rehearsal is of programs with a secret, which paper lets in")
        login = base64.b64encode(f"{self.profile.client_id}:{self.profile.client_secret}".encode()).decode()
        answer = await self._http.post(
            self.profile.token_url,
            data={"grant_type": "client_credentials"},
            headers={"authorization": f"Basic {login}"},
        )
        if answer.status_code != 200:
            raise CannotRehearse(f"no token for {self.profile.client_id}")
        self._token = answer.json()["access_token"]

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        if path == "/v1/orders" and method == "POST":
            headers["idempotency-key"] = secrets.token_hex(16)
        answer = await self._http.request(method, path, json=body, params=query, headers=headers)
        return answer.status_code, answer.json()

    async def close(self) -> None:
        await self._http.aclose()


class Rehearsal:
    def __init__(self, asked: Asked, tell: Callable[[str], None]) -> None:
        if not asked.profile.account_id.startswith("P-"):
            raise CannotRehearse("a rehearsal is for paper only")
        if asked.scene != SCENES[0] and asked.venue_url is None:
            raise CannotRehearse(f"the scene {asked.scene} needs the venue's address and its admin token")
        self._asked = asked
        self._tell = tell
        self._first = Person(asked.profile)
        self._second = self._first if asked.second is None else Person(asked.second)
        self._placed = 0
        self._stopped_at: float | None = None
        self._accepted: list[float] = []
        self._decided: list[str] = []
        self._refused: list[float] = []

    async def run(self) -> Figures:
        """Raises CannotRehearse and httpx.HTTPError."""
        try:
            await self._first.log_in()
            if self._second is not self._first:
                await self._second.log_in()
            return await self._rehearse()
        finally:
            await self._first.close()
            await self._second.close()

    async def _rehearse(self) -> Figures:
        asked = self._asked
        _, before = await self._first.ask("GET", "/v1/kill-switch")
        if before["engaged"]:
            raise CannotRehearse("the kill switch is engaged already")
        if asked.hold:
            await self._buy(asked.hold)
        self._tell(f"placing {asked.orders} orders")
        await self._place_all()
        working = await self._until_working()
        await self._faults(begin=True)
        feeders = [asyncio.create_task(self._feed()) for _ in range(2)]
        await asyncio.sleep(0.2)
        self._tell(f"{working} orders work; stopping everything")
        self._stopped_at = time.monotonic()
        status, told = await self._first.ask(
            "POST", "/v1/kill-switch", {"grade": "cancel_all", "reason": LEFT}
        )
        engaged = self._since()
        if status != 200:
            raise CannotRehearse(f"the kill switch answered {status} {told.get('code')}")
        try:
            clearing = asyncio.create_task(self._end_of_faults())
            canceled = await self._until_open(lambda status: status == "unknown")
            swept = await self._until_open(lambda _: False)
            flat = await self._until_flat() if asked.hold else None
            await clearing
            told = await self._once_swept()
        finally:
            for feeder in feeders:
                feeder.cancel()
            await asyncio.gather(*feeders, return_exceptions=True)
            await self._faults(begin=False)
            await self._second.ask("POST", "/v1/kill-switch/release", {"reason": LEFT})
        stop: dict[str, Any] = told["stops"][0] if told["stops"] else {"orders_left": 0, "failing": []}
        after = [at for at in self._decided if stop.get("since") is not None and at > stop["since"]]
        return Figures(
            scene=asked.scene,
            orders=working,
            engaged_ms=_ms(engaged),
            last_accepted_ms=_ms(max(self._accepted)) if self._accepted else None,
            first_refused_ms=_ms(min(self._refused)) if self._refused else None,
            refused=len(self._refused),
            accepted_while_stopped=len(after),
            last_cancel_ms=None if canceled is None else _ms(canceled),
            nothing_left_ms=None if swept is None else _ms(swept),
            flat_ms=None if flat is None else _ms(flat),
            left=stop["orders_left"],
            failing=tuple(f"{one['order_id']} {one['status']}" for one in stop["failing"]),
        )

    def _since(self) -> float:
        return 0.0 if self._stopped_at is None else time.monotonic() - self._stopped_at

    def _order(self, **changes: Any) -> dict[str, Any]:
        """A buy that rests; each at another price, or risk would take it for a repetition."""
        low, high = self._asked.prices
        steps = int((high - low) / self._asked.tick) + 1
        price = low + self._asked.tick * (self._placed % steps)
        self._placed += 1
        return {
            "account_id": self._asked.profile.account_id,
            "symbol": self._asked.symbol,
            "side": "buy",
            "type": "limit",
            "quantity": "1",
            "limit_price": str(price),
            "time_in_force": "gtc",
            **changes,
        }

    async def _buy(self, quantity: int) -> None:
        order = self._order(type="market", quantity=str(quantity))
        del order["limit_price"]
        order["time_in_force"] = "day"
        status, told = await self._first.ask("POST", "/v1/orders", order)
        if status != 201:
            raise CannotRehearse(f"what is to be held cannot be bought: {told.get('detail')}")
        deadline = time.monotonic() + WORKING_S_MAX
        while await self._held() == 0:
            if time.monotonic() > deadline:
                raise CannotRehearse("the order for what is to be held does not fill")
            await asyncio.sleep(POLL_S)

    async def _place_all(self) -> None:
        left = iter(range(self._asked.orders))
        denied: list[str] = []

        async def place() -> None:
            for _ in left:
                status, told = await self._first.ask("POST", "/v1/orders", self._order())
                if status != 201:
                    denied.append(f"{status} {told.get('code')} {told.get('detail')}")
                    return

        await asyncio.gather(*(place() for _ in range(PLACERS)))
        if denied:
            raise CannotRehearse(f"an order was not taken ({denied[0]}): fewer --orders, or wider limits")

    async def _until_working(self) -> int:
        deadline = time.monotonic() + WORKING_S_MAX
        while True:
            statuses = await self._open()
            if statuses and all(status == "working" for status in statuses):
                return len(statuses)
            if time.monotonic() > deadline:
                raise CannotRehearse("the orders do not come to work")
            await asyncio.sleep(POLL_S * 10)

    async def _open(self) -> list[str]:
        found: list[str] = []
        query: dict[str, Any] = {"open": "true", "limit": PAGE, "account_id": self._asked.profile.account_id}
        while True:
            _, page = await self._first.ask("GET", "/v1/orders", **query)
            found += [order["status"] for order in page["orders"]]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    async def _feed(self) -> None:
        """Go on placing, as a program would that nobody has told."""
        while True:
            status, told = await self._first.ask("POST", "/v1/orders", self._order())
            at = self._since()
            if self._stopped_at is not None:
                if status == 201:
                    self._accepted.append(at)
                    self._decided.append(told["accepted_at"])
                elif _is_killed(told):
                    self._refused.append(at)
            await asyncio.sleep(FEED_PAUSE_S)

    async def _until_open(self, may_be: Callable[[str], bool]) -> float | None:
        """When no order is open but such as may be; None when that did not come."""
        while self._since() < SWEPT_S_MAX:
            if all(may_be(status) for status in await self._open()):
                return self._since()
            await asyncio.sleep(POLL_S)
        return None

    async def _once_swept(self) -> Any:
        """What the gateway says of its stop, once it has seen itself that nothing is left to sweep."""
        deadline = time.monotonic() + TOLD_S_MAX
        while True:
            _, told = await self._first.ask("GET", "/v1/kill-switch")
            if all(not stop["orders_left"] for stop in told["stops"]) or time.monotonic() > deadline:
                return told
            await asyncio.sleep(POLL_S)

    async def _until_flat(self) -> float | None:
        """Two persons ask, and everything held is closed."""
        for who in (self._first, self._second):
            status, told = await who.ask("POST", "/v1/kill-switch/flatten", {"reason": LEFT})
            if status != 200:
                raise CannotRehearse(f"the flatten was refused: {told.get('detail')}")
        while self._since() < SWEPT_S_MAX:
            if await self._held() == 0:
                return self._since()
            await asyncio.sleep(POLL_S)
        return None

    async def _held(self) -> Decimal:
        _, told = await self._first.ask("GET", f"/v1/accounts/{self._asked.profile.account_id}/positions")
        found = [one for one in told["positions"] if one["symbol"] == self._asked.symbol]
        return Decimal(found[0]["quantity"]) if found else Decimal(0)

    async def _end_of_faults(self) -> None:
        if self._asked.scene != SCENES[0]:
            await asyncio.sleep(self._asked.scene_s)
            await self._faults(begin=False)

    async def _faults(self, *, begin: bool) -> None:
        asked = self._asked
        if asked.scene == SCENES[0] or asked.venue_url is None:
            return
        headers = {"authorization": f"Bearer {asked.venue_admin_token}"}
        async with httpx.AsyncClient(base_url=asked.venue_url, headers=headers, timeout=10.0) as venue:
            if not begin:
                await venue.request("DELETE", "/_admin/faults", json={})
                return
            kinds: list[dict[str, Any]] = [{"kind": "rate_limited", "scope": "request", "retry_after": 1}]
            if asked.scene == "broker-down":
                kinds = [
                    {"kind": "timeout_before", "scope": "request", "seconds": 0.05},
                    {"kind": "disconnect", "scope": "stream"},
                ]
            for fault in kinds:
                (await venue.post("/_admin/faults", json=fault)).raise_for_status()


def _is_killed(told: Any) -> bool:
    return isinstance(told, dict) and any(
        failed["control"] == "R01" for failed in told.get("failed_controls", ())
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
