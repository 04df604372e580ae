"""A gateway in live starts with a key service and a signed file, and with neither missing."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from ordergate.core.ids import Env
from ordergate.wiring import declaration, demo
from ordergate.wiring.gateway import gateway
from ordergate.wiring.settings import CannotStart, Settings, parse
from tests.security import softhsm

_BARE: dict[str, Any] = {"data_dir": "data", "instruments": [], "brokers": {}, "accounts": {}}


def live(folder: Path, **more: Any) -> Settings:
    plain = {
        "environment": "live",
        "data_dir": str(folder),
        "instruments": [],
        "brokers": {},
        "accounts": {},
        **more,
    }
    return parse(plain, "test")


def declared(folder: Path) -> dict[str, str]:
    file = folder / "declaration"
    return {"file": str(file), "key": declaration.declare(live(folder), folder / "operator.key", file)}


@pytest.mark.timeout(180)
async def test_live_starts_on_a_hardware_module_and_a_signed_file(
    tmp_path: Path, hsm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = softhsm.module()
    if module is None:
        pytest.skip("keys in a hardware module were not tried: there is no softhsm2 here")
    token = softhsm.tokens(module, hsm_folder)[Env.LIVE]
    monkeypatch.setenv("THE_PIN", softhsm.PIN.reveal())
    keys = {"kind": "pkcs11", "module": str(module), "token": token, "pin": {"environment": "THE_PIN"}}
    settings = live(tmp_path, keys=keys, declaration=declared(tmp_path))
    async with gateway(settings) as running:
        transport = httpx.ASGITransport(running.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.get("/livez")
            jwks = await client.get("/.well-known/jwks.json")
        assert (answer.status_code, answer.headers["x-ordergate-env"]) == (200, "live")
        assert len(jwks.json()["keys"]) == 1
    with pytest.raises(CannotStart, match="ordergate declare"):
        async with gateway(live(tmp_path, keys=keys)):
            pass


async def test_live_does_not_start_on_keys_in_files(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="key service for live"):
        async with gateway(live(tmp_path, declaration=declared(tmp_path))):
            pass


def test_in_live_no_issuers_tokens_live_longer_than_ten_minutes(tmp_path: Path) -> None:
    corp = {"name": "corp", "issuer": "https://id.test/realm", "audience": "a"}

    assert live(tmp_path, issuers=[corp]).issuers[0].lifetime_s_max <= 600
    assert live(tmp_path, issuers=[{**corp, "lifetime_s_max": 300}]).issuers[0].lifetime_s_max == 300
    longer = {**corp, "lifetime_s_max": 601}
    assert parse({"environment": "paper", **_BARE, "issuers": [longer]}, "test").issuers
    with pytest.raises(CannotStart, match="issuer corp: in live tokens live 600 s at most"):
        live(tmp_path, issuers=[longer])


def test_live_is_no_house_of_one_as_the_paper_one_on_a_laptop_is(tmp_path: Path) -> None:
    """There whoever engages a stop releases it: by a setting, and not by a way around the rule."""
    alone = demo.gateway_plain(tmp_path, port=8700, venue_url="http://127.0.0.1:8701")["kill_switch"]

    paper = {"environment": "paper", **_BARE}
    assert parse({**paper, "kill_switch": alone}, "test").kill_switch.two_persons is False
    assert parse(paper, "test").kill_switch.two_persons is True
    with pytest.raises(CannotStart, match="takes two persons"):
        live(tmp_path, kill_switch=alone)
