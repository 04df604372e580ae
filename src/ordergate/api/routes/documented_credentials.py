"""The routes of credentials at brokers, declared for the OpenAPI document only."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter

from ordergate.api import credential_schemas
from ordergate.api.routes.documented import JSON, answers

_STEPS: Final = {
    "verify": "Try the one that follows: it must open the same account",
    "switch": "Use the one that follows from now on",
    "drain": "Whether the one before is used for nothing any more",
    "revoke": "Destroy the one that has left, or one that follows",
}


def documented_credentials() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter(tags=["credentials"])

    @router.get(
        "/v1/credentials",
        summary="What lets the gateway in at its brokers",
        responses=answers(200, credential_schemas.CredentialList, "Without secrets.", {}, 400, 403),
    )
    def listed() -> None: ...

    @router.post(
        "/v1/credentials/{login}",
        status_code=201,
        summary="Store a key pair that follows the one in use",
        description="Nothing uses it yet. The login must not be older than five minutes.",
        responses=answers(201, credential_schemas.Credential, "Sealed.", {}, 400, 403, 404, 409, 415, 422),
    )
    def add(
        login: credential_schemas.Login, pair: Annotated[credential_schemas.PairRequest, JSON]
    ) -> None: ...

    for step, summary in _STEPS.items():

        @router.post(
            f"/v1/credentials/{{login}}/{step}",
            operation_id=f"{step}_credential",
            summary=summary,
            responses=answers(200, credential_schemas.Credential, "Done.", {}, 400, 403, 404, 409),
        )
        def move(login: credential_schemas.Login) -> None: ...

    return router
