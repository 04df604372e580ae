"""TLS that ends in the gateway: files that cannot be used are told before anything is served."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ordergate.wiring.serving import secured
from ordergate.wiring.settings import CannotStart, Settings, TlsSettings, parse
from tests.api.test_bound_tokens import Authority


def settings(**changes: object) -> Settings:
    plain = {"environment": "paper", "data_dir": "data", "instruments": [], "brokers": {}, "accounts": {}}
    return msgspec.structs.replace(parse(plain, "test"), **changes)


def test_without_it_nothing_is_said_and_the_address_is_plain() -> None:
    assert secured(settings()) == {}
    assert settings().base_url == "http://127.0.0.1:8700"


def test_with_it_the_address_says_so(tmp_path: Path) -> None:
    certificate, key, _ = Authority(tmp_path).signed("server")
    tls = TlsSettings(certificate=Path(certificate), key=Path(key), client_authorities=tmp_path / "root.pem")

    assert settings(tls=tls).base_url == "https://127.0.0.1:8700"
    assert set(secured(settings(tls=tls))) == {"ssl_context_factory"}


@pytest.mark.parametrize("wrong", ["certificate", "key", "client_authorities"])
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, wrong: str) -> None:
    certificate, key, _ = Authority(tmp_path).signed("server")
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    described = {"certificate": Path(certificate), "key": Path(key), wrong: empty}

    with pytest.raises(CannotStart, match="`tls` cannot be used"):
        secured(settings(tls=TlsSettings(**described)))
