"""A secret is in the environment, in a file that may be replaced, or in AWS Secrets Manager; nowhere else."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ordergate.telemetry.secret import Secret
from ordergate.wiring.secret_sources import Rereading
from ordergate.wiring.settings import CannotStart, SecretSource
from tests.security import kms


def source(url: str, **more: str) -> SecretSource:
    plain = {"aws": {"region": kms.REGION, "name": "gateway/venue", "endpoint_url": url, **more}}
    return msgspec.convert(plain, SecretSource)


def test_a_secret_of_aws_is_read_whole_or_by_field_and_again_after_it_was_replaced(
    aws: tuple[str, Any],
) -> None:
    url, client = aws
    client.create_secret(Name="gateway/venue", SecretString='{"key": "one"}')
    assert source(url).read() == Secret('{"key": "one"}')
    assert source(url, field="key").read() == Secret("one")
    client.put_secret_value(SecretId="gateway/venue", SecretString='{"key": "two"}')
    assert source(url, field="key").read() == Secret("two")
    assert source(url).reloads

    with pytest.raises(CannotStart, match="no field 'other'") as found:
        source(url, field="other").read()
    assert "two" not in str(found.value)


def test_aws_tells_when_the_version_in_force_was_made(aws: tuple[str, Any]) -> None:
    url, client = aws
    client.create_secret(Name="gateway/dated", SecretString='{"key": "one"}')
    asked = source(url, name="gateway/dated", field="key").aws
    assert asked is not None
    first = client.get_secret_value(SecretId="gateway/dated")["CreatedDate"]
    assert asked.since() == first
    client.put_secret_value(SecretId="gateway/dated", SecretString='{"key": "two"}')
    assert asked.since() == client.get_secret_value(SecretId="gateway/dated")["CreatedDate"]
    with pytest.raises(CannotStart, match="ResourceNotFoundException"):
        msgspec.structs.replace(asked, name="gateway/nothing").since()


def test_aws_that_knows_no_such_secret_or_is_away_is_a_sentence(aws: tuple[str, Any]) -> None:
    url, _ = aws
    with pytest.raises(CannotStart, match="ResourceNotFoundException"):
        source(url, name="gateway/nothing").read()
    with pytest.raises(CannotStart, match="EndpointConnectionError"):
        source("http://127.0.0.1:9").read()


def test_a_file_is_read_anew_and_a_variable_is_not_looked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SecretSource(file=tmp_path / "secret")
    with pytest.raises(CannotStart, match="cannot read"):
        file.read()
    for value in ("one", "two"):
        (tmp_path / "secret").write_text(f"{value}\n", encoding="utf-8")
        assert file.read() == Secret(value)
    assert file.reloads

    variable = SecretSource(environment="THE_SECRET")
    with pytest.raises(CannotStart, match="THE_SECRET"):
        variable.read()
    monkeypatch.setenv("THE_SECRET", "x")
    assert variable.read() == Secret("x")
    assert not variable.reloads


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"environment": "A", "file": "/b"},
        {"aws": {"region": "r", "name": "n"}, "environment": "A"},
        {"aws": {"region": "r", "name": "n", "endpoint_url": "http://elsewhere.example"}},
        {"value": "in the settings"},
    ],
)
def test_there_is_exactly_one_place(plain: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, SecretSource, dec_hook=lambda kind, value: kind(value))


def test_a_file_is_read_again_by_whoever_asks_again_and_one_that_is_gone_stays_what_it_was(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pin"
    file.write_text("one", encoding="utf-8")
    now = Rereading(SecretSource(file=file))
    file.write_text("two", encoding="utf-8")
    assert now() == Secret("two")
    file.unlink()
    assert now() == Secret("two")
    with pytest.raises(CannotStart):
        Rereading(SecretSource(file=file))
