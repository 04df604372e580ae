"""A real gateway whose keys are in a hardware module: tokens, checkpoints, credentials, and rotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ordergate.core.ids import Env
from tests.e2e.canaries import found_in
from tests.e2e.client import Rest
from tests.e2e.floor import Floor, floor
from tests.security import softhsm


@pytest.mark.timeout(300)
async def test_a_gateway_signs_and_unseals_by_a_hardware_module(
    tmp_path: Path, hsm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = softhsm.module()
    if module is None:
        pytest.skip("keys in a hardware module were not tried: there is no softhsm2 here")
    token = softhsm.tokens(module, hsm_folder)[Env.PAPER]
    monkeypatch.setenv("THE_PIN", softhsm.PIN.reveal())
    keys = {"kind": "pkcs11", "module": str(module), "token": token, "pin": {"environment": "THE_PIN"}}
    whole: dict[str, Any] = {"keys": keys, "brokers": {"venue": {"kind": "alpaca", "requests_per_minute": 0}}}

    def plan(it: Floor) -> None:
        whole["brokers"]["venue"]["url"] = f"http://127.0.0.1:{it.venue_port}"

    async def begin(it: Floor) -> None:
        await it.command("migrate")
        source = it.folder / "secrets" / "pair.json"
        source.write_text(json.dumps({"key_id": "floor-key", "secret_key": "floor-secret"}), encoding="utf-8")
        await it.command("credentials", "begin", "venue", "--from", str(source))

    async with floor(tmp_path, plan=plan, before=begin, gateway=whole) as it:
        rest = Rest(it)
        await rest.log_in()
        assert await rest.get("/v1/accounts")
        rotated = msgspec.json.decode(await it.command("keys", "rotate", "secrets"))
        assert (rotated["left"], rotated["disabled"]) == (0, [1])
        signing = msgspec.json.decode(await it.command("keys", "rotate", "tokens"))
        assert (signing["version"], signing["key"]) == (2, "pkcs11/paper/tokens")
        await rest.log_in()
        assert await rest.get("/v1/accounts")
        it.kill()
        await it.start()
        await it.until_ready()
        await rest.log_in()
        assert msgspec.json.decode(await it.command("audit", "verify"))["problems"] == []
        assert not (tmp_path / "keys").exists(), "no key is in a file"
        assert found_in(tmp_path, {"pin": softhsm.PIN.reveal().encode()}) == {}
