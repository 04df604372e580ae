"""Schemathesis asks a running house what nobody thought of: no 5xx, and every answer as documented.

Four times: over the whole document, where most of what it makes up is refused; over a narrower one
whose orders are real, so that its sequences place, change and cancel what the venue then has; and over
all that can be read, once there is something to read; and over the administration at its own listener.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ordergate.wiring.serving import kept_port
from tests.dose import dose
from tests.e2e.books import check_journal, until_agreed
from tests.e2e.client import Rest, clients
from tests.e2e.floor import ACCOUNT, Floor, floor, repeatable
from tests.e2e.load import PRICES

# A request may fit the shape and still be impossible (a price off its tick, an unlisted symbol).
# To delete an order is to ask for its cancel: it is there for ever after.
NOT_CHECKED: Final = "positive_data_acceptance,use_after_free"
# The authorization server follows its own standards, and is left to their tests.
NOT_OURS: Final = "^/(oauth|\\.well-known)/"
# A body that is too large is refused as that, whatever else is wrong with it. And nothing is to be guessed
# from a refusal: what one level of a stop lacked, a target, would be taken for required of all.
REFUSALS: Final = """
[phases.fuzzing.error-feedback]
enabled = false

[checks.negative_data_rejection]
expected-statuses = [
    "400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx",
]
"""
SYMBOLS: Final = ["AAPL", "MSFT"]
SAID_MAX: Final = 20_000
ORDERS_MIN: Final = 5
ROUNDS_MAX: Final = 5
"""A machine with much else to do asks little in its seconds, and is let ask again."""


@pytest.mark.timeout(1_500)
async def test_schemathesis_finds_no_server_error_and_no_mismatch_with_the_document(tmp_path: Path) -> None:
    with repeatable("schemathesis") as seed, kept_port() as apart:
        async with floor(tmp_path, gateway={"admin_port": apart}) as it, clients(it) as (rest, stream):
            await stream.watch_quotes(list(PRICES))
            token = await it.token()
            document = await rest.get("/openapi.json")
            here, there = by_listener(document)
            await ask(it, token, here, seed=seed, mode="all", seconds=dose(12, 400))

            await release(it, token)
            for again in range(ROUNDS_MAX):
                await ask(
                    it, token, narrowed(here), seed=seed + again, mode="positive", seconds=dose(12, 400)
                )
                if await has_traded(it, rest):
                    break
            await ask(it, token, readings(here), seed=seed, mode="positive", seconds=dose(8, 200))
            mine, theirs = await settled(it, rest)
            assert len(theirs.orders) > ORDERS_MIN, "the narrowed document bought next to nothing"
            assert any(order["cancel_requested"] for order in mine.orders)
            await check_journal(it, rest)
            # Last, since it may end whoever asks.
            admin = f"http://127.0.0.1:{apart}"
            await ask(it, token, there, seed=seed, mode="all", seconds=dose(12, 400), url=admin)


async def has_traded(it: Floor, rest: Rest) -> bool:
    orders = await rest.every(f"/v1/orders?account_id={ACCOUNT}", "orders")
    return len((await it.ledger()).orders) > ORDERS_MIN and any(one["cancel_requested"] for one in orders)


async def settled(it: Floor, rest: Any) -> Any:
    """Once the venue's tapes stand still, both books say the same."""
    await it.tape(paused=True)
    return await until_agreed(it, rest)


async def ask(
    it: Floor,
    token: str,
    document: Mapping[str, Any],
    *,
    mode: str,
    seed: int,
    seconds: int,
    url: str | None = None,
) -> None:
    """One run of Schemathesis as a process of its own, every phase and nearly every check."""
    (it.folder / "schemathesis.toml").write_text(REFUSALS, encoding="utf-8")
    file = it.folder / f"{mode}.openapi.json"
    file.write_bytes(msgspec.json.encode(document))
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", url or it.base_url]
    command += ["--header", f"Authorization: Bearer {token}", "--seed", str(seed)]
    command += ["--mode", mode, "--max-time", str(seconds), "--exclude-path-regex", NOT_OURS]
    command += ["--exclude-checks", NOT_CHECKED, "--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--request-timeout", "30", "--no-color"]
    asking = await asyncio.create_subprocess_exec(
        *command,
        cwd=it.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(asking.communicate(), seconds + 120)
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
    assert asking.returncode == 0, f"mode {mode}:\n{said.decode(errors='replace')[-SAID_MAX:]}"


async def release(it: Floor, token: str) -> None:
    """The first run may have engaged the kill switch, as it is asked to ask for everything."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "release-the-kill-switch"}
    url = f"{it.base_url}/v1/kill-switch/release"
    async with it.http.post(url, headers=headers, json={"reason": "the next run"}) as answer:
        assert answer.status == 200, await answer.text()


def by_listener(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the gateway's own listener serves, and what the administration's does."""
    paths = document["paths"]
    apart = {path for path, its in paths.items() if any("servers" in one for one in its.values())}
    assert apart
    return (
        {**document, "paths": {path: its for path, its in paths.items() if path not in apart}},
        {**document, "paths": {path: its for path, its in paths.items() if path in apart}},
    )


def readings(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is only read: every listing and every single thing, of the account that has been trading."""
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    copy["paths"] = {path: {"get": its["get"]} for path, its in copy["paths"].items() if "get" in its}
    for its in copy["paths"].values():
        for parameter in its["get"].get("parameters", ()):
            if parameter["name"] == "account_id":
                parameter["schema"] = {"enum": [ACCOUNT]}
    return copy


def narrowed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same document, with orders that the market here can take and no kill switch.

    What does not fit it may still be right, so only what fits is asked.
    """
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    copy["paths"] = {
        path: its for path, its in copy["paths"].items() if "order" in path or path.startswith("/v1/accounts")
    }
    fields = copy["components"]["schemas"]["OrderRequest"]["properties"]
    common = {
        "account_id": {"enum": [ACCOUNT]},
        "symbol": {"enum": SYMBOLS},
        "quantity": {"enum": ["1", "2", "3"]},
        "side": fields["side"],
        "time_in_force": {"enum": ["day", "gtc"]},
    }
    market = common | {"type": {"enum": ["market"]}}
    limit = common | {"type": {"enum": ["limit"]}, "limit_price": {"enum": ["188.50", "189.99", "368.00"]}}
    copy["components"]["schemas"]["OrderRequest"] = {
        "anyOf": [
            {"type": "object", "additionalProperties": False, "properties": its, "required": list(its)}
            for its in (market, limit)
        ]
    }
    return copy
