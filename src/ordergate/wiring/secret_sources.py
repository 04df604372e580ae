"""Where a secret is: an environment variable, a file, or AWS Secrets Manager. The settings never hold one.

A file and AWS's service are read again by whoever asks again, so that a secret replaced there (as Kubernetes
replaces a mounted one) is found without a restart. Both know since when it is what it is.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from ordergate.security.profile import check_url
from ordergate.telemetry.log import logger
from ordergate.telemetry.secret import Secret

_log = logger("credentials")


class CannotStart(Exception):
    """What is in the way, in one sentence that says what to do."""


class AwsSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret of AWS Secrets Manager; with a `field`, that field of it as JSON."""

    region: str
    name: str
    field: str | None = None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            check_url(self.endpoint_url)

    def since(self) -> datetime:
        """When the version in force was made. Raises CannotStart. Asks AWS over the network: for a thread.

        It takes the same right as reading the secret, and no other.
        """
        made: datetime = _asked(self, "CreatedDate")
        return made


class SecretSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of the three."""

    environment: str | None = None
    file: Path | None = None
    aws: AwsSecret | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.environment, self.file, self.aws)) != 1:
            raise ValueError("a secret has either `environment`, `file` or `aws`")

    @property
    def reloads(self) -> bool:
        """Whether reading it again may find another."""
        return self.environment is None

    def read(self) -> Secret:
        """Raises CannotStart. Asks AWS over the network where it is there: for a thread then."""
        if self.environment is not None:
            value = os.environ.get(self.environment, "")
            if not value:
                raise CannotStart(f"set the environment variable {self.environment}")
            return Secret(value)
        if self.aws is not None:
            return _of_aws(self.aws)
        assert self.file is not None
        try:
            return Secret(self.file.read_text(encoding="utf-8").strip())
        except OSError as error:
            raise CannotStart(f"cannot read the secret in {self.file}: {error.strerror}") from error


class Rereading:
    """A secret as it is now: its file is read again by every call. An unreadable one stays what it was."""

    def __init__(self, source: SecretSource) -> None:
        """Raises CannotStart."""
        self._source = source
        self._known = source.read()

    def __call__(self) -> Secret:
        if self._source.file is not None:
            try:
                self._known = self._source.read()
            except CannotStart as cannot:
                _log.warning("secret.unreadable", why=str(cannot))
        return self._known


def _of_aws(asked: AwsSecret) -> Secret:
    text: str = _asked(asked, "SecretString")
    return Secret(text if asked.field is None else _field(text, asked.field, asked.name))


def _asked(asked: AwsSecret, what: str) -> Any:
    """One field of what AWS answers to whoever asks for the secret."""
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import get_session
    except ImportError as error:
        raise CannotStart("secrets in AWS need the package aiobotocore: install ordergate[aws]") from error
    config = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    try:
        client = get_session().create_client(
            "secretsmanager", region_name=asked.region, endpoint_url=asked.endpoint_url, config=config
        )
        return client.get_secret_value(SecretId=asked.name)[what]
    except ClientError as error:
        why = error.response.get("Error", {}).get("Code", "")
        raise CannotStart(f"cannot read the secret {asked.name} of AWS: {why}") from error
    except (BotoCoreError, OSError, KeyError) as error:
        why = type(error).__name__
        raise CannotStart(f"cannot read the secret {asked.name} of AWS: {why}") from error


def _field(text: str, field: str, name: str) -> str:
    try:
        plain: Any = json.loads(text)
        value = plain[field]
    except (ValueError, KeyError, TypeError):
        raise CannotStart(f"the secret {name} of AWS has no field {field!r}") from None
    if not isinstance(value, str):
        raise CannotStart(f"the field {field!r} of the secret {name} of AWS is no text")
    return value
