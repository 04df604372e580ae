"""What several rooms of the wiring are tried against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from tests.security import kms


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """A Secrets Manager over HTTP, and a client to put something into it."""
    for name, value in kms.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with kms.moto_server() as url:
        client = botocore.session.get_session().create_client(
            "secretsmanager", region_name=kms.REGION, endpoint_url=url
        )
        yield url, client
