"""SEC-9: secrets are planted wherever a real gateway takes one, and looked for in all that it leaves.

In its logs, its answers and complaints, its metrics, what it exports, the files of its database, and what
is left when it is killed; as they are, in hex and in base64. The folders that are for secrets are the only
place where they may be.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from ordergate.wiring import demo
from tests.e2e.canaries import found_in, names_in
from tests.e2e.client import Rest
from tests.e2e.floor import ACCOUNT, CLIENT_ID, COMMAND_S_MAX, Floor, floor

KEY: Final = "CANARYKEY0001"
PAIRS: Final = {
    KEY: "canary-broker-secret-0001",
    "CANARYKEY0002": "canary-broker-secret-0002",
    "CANARYKEY0003": "canary-wrong-secret-0003",
}
WEBHOOK: Final = base64.b64encode(b"canary-webhook-secret-000000004!").decode()
TYPED: Final = "canary-mistyped-client-secret-5"
BEARER: Final = "canary-bearer-token-0006"
VENUE_FILES: Final = {"venue.yaml"}


def plain(folder: Path) -> dict[str, Any]:
    hook = folder / "secrets" / "webhook"
    return {
        "brokers": {"venue": {"kind": "alpaca", "requests_per_minute": 0}},
        "surveillance": [
            {"name": "nobody", "url": "http://127.0.0.1:9/hook", "secrets": [{"file": str(hook)}]}
        ],
        "log_level": "debug",
    }


@pytest.mark.timeout(300)
async def test_no_secret_is_anywhere_but_where_it_belongs(tmp_path: Path) -> None:
    said: list[bytes] = []
    whole = plain(tmp_path / "floor")

    def plan(it: Floor) -> None:
        whole["brokers"]["venue"]["url"] = f"http://127.0.0.1:{it.venue_port}"

    async def begin(it: Floor) -> None:
        (it.folder / "secrets" / "webhook").write_text(f"whsec_{WEBHOOK}", encoding="utf-8")
        await it.command("migrate")
        said.append(await it.command("credentials", "begin", "venue", "--from", pair(it, KEY)))

    venue = {"accounts": [{"id": demo.VENUE_ACCOUNT, "key": KEY, "secret": PAIRS[KEY], "cash": "1000000"}]}
    folder = tmp_path / "floor"
    async with floor(folder, plan=plan, before=begin, venue=venue, gateway=whole) as it:
        rest = Rest(it)
        await rest.log_in()
        said += await mishaps(it, rest)
        exported = tmp_path / "exported"
        said.append(await it.command("audit", "export", "--to", str(exported)))
        token = await it.token()
        it.signal(signal.SIGABRT)
        assert await it.until_ended() == -signal.SIGABRT

        texts = [*PAIRS.values(), WEBHOOK, TYPED, BEARER, it.client_secret, token, *PAIRS]
        canaries = {f"{number} {text[:6]}": text.encode() for number, text in enumerate(texts)}
        canaries["webhook"] = base64.b64decode(WEBHOOK)
        assert names_in(b"\n".join(said), canaries) == []
        assert found_in(folder, canaries, but_files=VENUE_FILES) == {}
        assert found_in(exported, canaries) == {}
        assert not list(folder.rglob("core*")), "a core dump"


async def mishaps(it: Floor, rest: Rest) -> list[bytes]:
    """Everything that can go wrong with a secret in somebody's hand; what was answered."""
    said = []
    order = {
        "account_id": ACCOUNT,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "170.00",
        "time_in_force": "day",
    }
    answer = await rest.place(order, key="canary-order-00000001", wait_s=1)
    said.append(json.dumps(answer.order and dict(answer.order), default=str).encode())
    said.append(await complained(it, "credentials", "rotate", "venue", "--from", pair(it, "CANARYKEY0003")))
    said.append(await it.command("credentials", "revoke", "venue"))
    made = {"account": demo.VENUE_ACCOUNT, "key": "CANARYKEY0002", "secret": PAIRS["CANARYKEY0002"]}
    await it.admin("POST", "keys", made)
    said.append(await it.command("credentials", "rotate", "venue", "--from", pair(it, "CANARYKEY0002")))
    await it.admin("DELETE", f"keys/{KEY}")
    said.append(await it.command("keys", "rotate", "secrets"))
    said.append(await it.command("keys", "rotate", "tokens"))
    said.append(await it.command("credentials", "list"))
    said.append(await it.command("keys", "list"))
    wrong = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, TYPED)}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/oauth/token", {"data": {"grant_type": "client_credentials"}, "headers": wrong}),
        ("POST", "/oauth/token", {"data": {"client_id": TYPED, "client_secret": TYPED}}),
        ("GET", f"/v1/orders?account_id={TYPED}", {"headers": {"Authorization": f"Bearer {BEARER}"}}),
        ("POST", "/v1/orders", {"data": b"{" + TYPED.encode(), "headers": {"Authorization": BEARER}}),
        ("GET", "/metrics", {}),
        ("GET", "/readyz", {}),
        ("GET", "/openapi.json", {}),
    ]
    for method, path, more in asked:
        async with it.http.request(method, it.base_url + path, **more) as got:
            said.append(await got.read() + str(dict(got.headers)).encode())
    return said


def pair(it: Floor, key: str) -> str:
    file = it.folder / "secrets" / f"{key}.json"
    file.write_text(json.dumps({"key_id": key, "secret_key": PAIRS[key]}), encoding="utf-8")
    return str(file)


async def complained(it: Floor, *words: str) -> bytes:
    """A command that is refused, and all that it says."""
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ordergate", *words, "--config", str(it.folder / "gateway.yaml"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(asked.communicate(), COMMAND_S_MAX)
    assert asked.returncode == 1, out
    assert b"did not let it in" in out
    return out


def test_a_gateway_leaves_no_core_dump() -> None:
    code = "from ordergate.wiring import serving; import resource; serving.leave_no_core(); "
    code += "print(resource.getrlimit(resource.RLIMIT_CORE))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert told.stdout.strip() == b"(0, 0)"


@pytest.mark.parametrize("before", ["", "a", "ab"])
@pytest.mark.parametrize("secret", [b"canary-of-some-length", bytes(range(200, 232))])
def test_a_secret_is_found_in_every_form(tmp_path: Path, secret: bytes, before: str) -> None:
    around = before.encode() + secret + b"after"
    for number, form in enumerate(
        (around, around.hex().encode(), base64.b64encode(around), base64.urlsafe_b64encode(around))
    ):
        (tmp_path / "a.log").write_bytes(b"x=" + form)
        assert found_in(tmp_path, {"it": secret, "other": b"another canary"}) == {"a.log": ["it"]}, number
    (tmp_path / "a.log").write_bytes(b"nothing")
    assert found_in(tmp_path, {"it": secret}) == {}
