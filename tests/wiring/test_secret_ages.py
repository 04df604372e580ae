"""How old is what AWS keeps: by its own word, for every place of the settings that may name it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ordergate.ports.keys import Purpose
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring import secret_ages
from ordergate.wiring.secret_sources import AwsSecret
from ordergate.wiring.settings import CannotStart, Settings
from tests.delivery.test_true_documents import WRITTEN
from tests.security import kms
from tests.security.test_rotation import age, settings_of

NAME = "ages/venue"
ADDRESS = "ages/address"
PASSFILE = "ages/passfile"


def at(url: str, name: str = NAME) -> dict[str, Any]:
    return {"aws": {"region": kms.REGION, "name": name, "endpoint_url": url}}


class Later:
    """The machine's clock, so many seconds ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return 1_000.0 + self.ahead_s


class Nothing:
    """A key service, a store of credentials and one of clients that know of nothing."""

    async def describe(self, purpose: object) -> tuple[()]:
        return ()

    async def rows(self) -> list[object]:
        return []

    async def client_secrets_since(self, most: int) -> dict[str, datetime]:
        return {}


def ages_of(settings: Settings, metrics: Metrics, clock: Later) -> secret_ages.SecretAges:
    nothing: Any = Nothing()
    machine: Any = clock
    return secret_ages.SecretAges(settings, nothing, nothing, nothing, metrics, clock=machine)


def test_every_secret_that_aws_keeps_is_named_by_what_it_is_for(aws: tuple[str, Any], tmp_path: Path) -> None:
    url, client = aws
    client.create_secret(Name=ADDRESS, SecretString="postgresql://x:word@127.0.0.1/y")
    order = {"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}
    settings = settings_of(
        tmp_path,
        brokers={"venue": {"key": at(url), "secret": at(url)}},
        accounts={"P-ONE": {"broker": "venue"}},
        hooks={"trend": {"account": "P-ONE", "order": order, "signed": [at(url)]}},
        keys={"kind": "pkcs11", "module": "/m.so", "token": "t", "pin": at(url)},
        surveillance=[{"name": "desk", "url": "https://desk.example/in", "secrets": [at(url)]}],
        database_url=at(url, ADDRESS),
        kill_switch={"shared_database_url": at(url, ADDRESS)},
    )
    found = secret_ages.of_aws(settings)
    assert {name: secret.name for name, secret in found.items()} == {
        "broker venue": NAME,
        "database": ADDRESS,
        "hook trend": NAME,
        "module pin": NAME,
        "shared database": ADDRESS,
        "webhook desk": NAME,
    }
    assert secret_ages.files_of(settings) == {}


def test_an_address_that_names_a_passfile_is_as_old_as_the_passfile(
    aws: tuple[str, Any], tmp_path: Path
) -> None:
    url, client = aws
    client.create_secret(Name=PASSFILE, SecretString="postgresql://x@127.0.0.1/y?passfile=/run/pass")
    settings = settings_of(tmp_path, database_url=at(url, PASSFILE))
    assert secret_ages.of_aws(settings) == {}
    assert secret_ages.files_of(settings) == {"database": Path("/run/pass")}


def test_what_each_takes_is_documented_by_its_name_in_the_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of docs/security.md; its links are looked at with all others."""
    rows = [
        line
        for line in WRITTEN["docs/security.md"].splitlines()
        if line.startswith("| [") and "runbooks/secrets.md#" in line
    ]
    told = {name for row in rows for name in re.findall(r"`([a-z ]+?)(?: [A-Z]+)?`", row.split("|")[2])}
    monkeypatch.setenv("ADDRESS", "postgresql://x@127.0.0.1/y?passfile=/run/pass")
    order = {"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}
    oauth = {
        "client_id": "o",
        "client_secret": {"file": "/a"},
        "redirect_uri": "http://127.0.0.1:9/back",
        "base_url": "http://127.0.0.1:9",
    }
    settings = settings_of(
        tmp_path,
        brokers={
            "venue": {"key": {"file": "/k"}, "secret": {"file": "/s"}},
            "house": {"oauth": oauth},
        },
        accounts={"P-ONE": {"broker": "venue"}},
        hooks={"trend": {"account": "P-ONE", "order": order, "signed": [{"file": "/h"}]}},
        keys={"kind": "pkcs11", "module": "/m.so", "token": "t", "pin": {"file": "/pin"}},
        surveillance=[{"name": "desk", "url": "https://desk.example/in", "secrets": [{"file": "/w"}]}],
        database_url={"environment": "ADDRESS"},
        kill_switch={"shared_database_url": {"environment": "ADDRESS"}},
        tls={"certificate": "/c.pem", "key": "/k.pem"},
    )
    of_settings = set(secret_ages.files_of(settings))
    assert len(of_settings) == 8
    bare = {re.sub(r" (venue|house|trend|desk)$", "", name) for name in of_settings}
    assert bare | {"client"} | {f"key {purpose}" for purpose in Purpose} == told


def with_a_broker(folder: Path, url: str) -> Settings:
    broker = {"venue": {"key": at(url), "secret": at(url)}}
    return settings_of(folder, brokers=broker, accounts={"P-ONE": {"broker": "venue"}})


async def test_the_age_of_what_aws_keeps_is_told(aws: tuple[str, Any], tmp_path: Path) -> None:
    url, client = aws
    client.create_secret(Name=NAME, SecretString="canary-of-aws")
    metrics, clock = Metrics(), Later()
    ages = ages_of(with_a_broker(tmp_path, url), metrics, clock)
    await ages.look()
    assert age(metrics, "broker venue") == pytest.approx(0, abs=60)
    clock.ahead_s = 7 * 86_400.0
    await ages.look()
    assert age(metrics, "broker venue") == pytest.approx(7 * 86_400, abs=60)
    assert "canary" not in metrics.exposition().decode()


async def test_the_age_begins_anew_with_the_next_version_and_grows_while_aws_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, clock, made = Metrics(), Later(), [datetime.now(UTC) - timedelta(days=90), datetime.now(UTC)]

    def since(_: AwsSecret) -> datetime:
        if not made:
            raise CannotStart("away")
        return made.pop(0)

    monkeypatch.setattr(AwsSecret, "since", since)
    ages = ages_of(with_a_broker(tmp_path, "http://127.0.0.1:9"), metrics, clock)
    told = []
    for _ in range(3):
        await ages.look()
        told.append(age(metrics, "broker venue"))
        clock.ahead_s += secret_ages.AWS_EVERY_S
    every = secret_ages.AWS_EVERY_S
    assert told == [pytest.approx(age_s, abs=60) for age_s in (90 * 86_400, every, 2 * every)]


async def test_aws_is_not_asked_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def since(_: AwsSecret) -> datetime:
        nonlocal asked
        asked += 1
        return datetime.now(UTC)

    monkeypatch.setattr(AwsSecret, "since", since)
    clock = Later()
    ages = ages_of(with_a_broker(tmp_path, "http://127.0.0.1:9"), Metrics(), clock)
    for _ in range(5):
        await ages.look()
        clock.ahead_s += secret_ages.EVERY_S
    assert asked == 1
