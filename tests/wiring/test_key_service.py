"""The settings name one key service; live refuses the one that is files."""

from pathlib import Path
from typing import Any

import pytest

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, Purpose
from ordergate.wiring import key_service
from ordergate.wiring.settings import AwsKeys, CannotStart, FileKeys, HsmKeys, Settings, parse
from tests.security import kms, softhsm


def settings(folder: Path, environment: str = "paper", **more: Any) -> Settings:
    plain = {
        "environment": environment,
        "data_dir": str(folder),
        "instruments": [],
        "brokers": {},
        "accounts": {},
        **more,
    }
    return parse(plain, "test")


async def test_without_a_word_keys_are_in_files_of_the_folder(tmp_path: Path) -> None:
    async with key_service.opened(settings(tmp_path)) as keys:
        await keys.rotate(Purpose.TOKENS)
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["signing-keys.json"]


async def test_live_refuses_files(tmp_path: Path) -> None:
    with pytest.raises(KeysRefused, match="key service for live"):
        async with key_service.opened(settings(tmp_path, "live", keys={"kind": "file"})):
            pass


async def test_live_takes_a_hardware_module(
    tmp_path: Path, hsm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = softhsm.module()
    if module is None:
        pytest.skip("keys in a hardware module were not tried: there is no softhsm2 here")
    token = softhsm.tokens(module, hsm_folder)[Env.LIVE]
    monkeypatch.setenv("THE_PIN", softhsm.PIN.reveal())
    asked = {"kind": "pkcs11", "module": str(module), "token": token, "pin": {"environment": "THE_PIN"}}
    async with key_service.opened(settings(tmp_path, "live", keys=asked)) as keys:
        assert (keys.env, keys.kind) == (Env.LIVE, "pkcs11")
        assert (await keys.rotate(Purpose.AUDIT)).version == 1


async def test_live_takes_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kms.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with kms.moto_server() as url:
        asked = {"kind": "aws-kms", "region": kms.REGION, "endpoint_url": url}
        async with key_service.opened(settings(tmp_path, "live", keys=asked)) as keys:
            assert (await keys.rotate(Purpose.TOKENS)).version == 1


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"kind": "file"}, FileKeys),
        ({"kind": "aws-kms", "region": "eu-central-1"}, AwsKeys),
        ({"kind": "pkcs11", "module": "/m.so", "token": "t", "pin": {"environment": "PIN"}}, HsmKeys),
    ],
)
def test_every_kind_is_read(tmp_path: Path, asked: dict[str, Any], kind: type) -> None:
    assert isinstance(settings(tmp_path, keys=asked).keys, kind)


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "vault"},
        {"kind": "file", "folder": "/x"},
        {"kind": "aws-kms"},
        {"kind": "aws-kms", "region": "r", "endpoint_url": "http://kms.example"},
        {"kind": "pkcs11", "module": "/m.so", "token": "t", "pin": "1234"},
    ],
)
def test_what_is_no_key_service_is_a_sentence(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(CannotStart):
        settings(tmp_path, keys=asked)
