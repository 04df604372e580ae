"""The OpenAPI document: FastAPI's description of its own routes, the hot ones, and what holds for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from ordergate.api import problems
from ordergate.api.deps import Deps
from ordergate.api.routes.documented import documented
from ordergate.api.routes.documented_access import documented_access
from ordergate.api.routes.documented_credentials import documented_credentials
from ordergate.api.routes.documented_groups import documented_groups
from ordergate.api.routes.documented_limits import documented_limits
from ordergate.api.routes.documented_programs import documented_programs
from ordergate.api.routes.strategies import documented_strategies
from ordergate.api.schemas import SCOPE_WORDS

_ABOUT: Final = (
    "Amounts are decimal strings, times are RFC 3339 in UTC. A request that changes an order carries an "
    "Idempotency-Key. Errors are application/problem+json with a stable code. Commands and gapless "
    "events also go over the WebSocket at /v1/stream."
)
_UNUSED_MODELS: Final = ("HTTPValidationError", "ValidationError")


def openapi_document(app: FastAPI, administration: FastAPI | None, deps: Deps) -> dict[str, Any]:
    """Of both listeners: what the second one serves names its address."""
    apart: list[BaseRoute] = []
    if administration is not None:
        apart = [
            *administration.routes,
            *documented_access().routes,
            *documented_credentials().routes,
            *documented_programs().routes,
            *documented_strategies().routes,
        ]
    document = get_openapi(
        title=f"Ordergate ({deps.env.value})",
        version=deps.version,
        description=_ABOUT,
        routes=[
            *app.routes,
            *documented().routes,
            *documented_groups().routes,
            *documented_limits().routes,
            *apart,
        ],
    )
    its = get_openapi(title="", version="", routes=apart)["paths"]
    _tell_listener(document["paths"], its.keys(), deps.admin_url)
    for path in document["paths"].values():
        for operation in path.values():
            _tell_problems(operation["responses"])
    schemas: dict[str, Any] = document["components"]["schemas"]
    for name in _UNUSED_MODELS:
        schemas.pop(name, None)
    for endpoint in deps.authorization:
        _tell_authorization(document["paths"], endpoint.path, endpoint.methods, endpoint.summary)
    document["components"]["securitySchemes"] = {"token": _token_scheme()}
    document["security"] = [{"token": []}]
    return document


def _tell_listener(paths: dict[str, Any], apart: Iterable[str], url: str | None) -> None:
    for path in apart:
        for operation in paths[path].values():
            operation["servers"] = [{"url": url, "description": "The listener of the administration."}]


def _tell_problems(responses: dict[str, Any]) -> None:
    """An error is a problem with its own media type; FastAPI's own shape of errors is never sent."""
    told = responses.get("422", {}).get("content", {}).get("application/json", {})
    if told.get("schema", {}).get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
    for response in responses.values():
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith("/Problem"):
            content[problems.MEDIA_TYPE] = content.pop("application/json")


def _token_scheme() -> dict[str, Any]:
    scopes = {scope.value: words for scope, words in SCOPE_WORDS.items()}
    return {
        "type": "oauth2",
        "description": "OAuth 2 client credentials; the token is sent as a Bearer credential.",
        "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes}},
    }


def _tell_authorization(paths: dict[str, Any], path: str, methods: tuple[str, ...], summary: str) -> None:
    for method in methods:
        paths.setdefault(path, {})[method.lower()] = {
            "tags": ["authorization"],
            "summary": summary,
            "security": [],
            "responses": {"default": {"description": "As the OAuth 2 specifications say."}},
        }
