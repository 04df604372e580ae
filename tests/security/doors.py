"""A gateway's two listeners without their sockets: a request finds the one that the document names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ordergate.api.app import Gateway
from ordergate.api.face import Face
from tests.security.inside import asked


class Doors:
    def __init__(self, app: Gateway) -> None:
        self.app = app
        self._apart = [
            re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))
            for path, operations in app.openapi()["paths"].items()
            if any("servers" in operation for operation in operations.values())
        ]

    @property
    def administration(self) -> Face:
        assert self.app.administration is not None
        return self.app.administration

    def is_apart(self, path: str) -> bool:
        """Whether this is the administration's, as the document says."""
        return any(told.fullmatch(path.partition("?")[0]) for told in self._apart)

    async def ask(
        self, method: str, path: str, *, token: str | None, body: Any = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, dict[str, Any]]:
        """The status and the body."""
        face = self.administration if self.is_apart(path) else self.app
        return await asked(face, method, path, token=token, body=body, headers=headers)
