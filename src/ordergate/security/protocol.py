"""Authlib's authorization server over our clients and keys. Runs in worker threads; keeps no state."""

from __future__ import annotations

from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc6750 import BearerTokenGenerator

from ordergate.core.access import Scope
from ordergate.security import oauth_requests as oauth
from ordergate.security.bearer import Bearer
from ordergate.security.clients import Client
from ordergate.security.directory import Directory
from ordergate.security.grants import (
    ClientCredentials,
    Introspection,
    IssuedToken,
    Registered,
    Request,
    Revocation,
)
from ordergate.security.hashing import matches
from ordergate.security.metadata import REVOKE, SCOPES, TOKEN, client_methods
from ordergate.security.oauth_requests import ASSERTION, Answer
from ordergate.security.profile import Profile
from ordergate.security.senders import Senders
from ordergate.security.signing import Signer

_DESCRIPTION_MAX: Final = 200


class Protocol(AuthlibServer):  # type: ignore[misc]  # Authlib publishes no types
    """Authlib's server over our clients and keys. Runs in worker threads; keeps no state."""

    def __init__(
        self, profile: Profile, directory: Directory, signer: Signer, bearer: Bearer, senders: Senders
    ) -> None:
        super().__init__(scopes_supported=sorted(SCOPES))
        self._methods = client_methods(profile.env)
        self._senders = senders
        self._directory = directory
        self._signer = signer
        self._bearer = bearer
        self.register_grant(ClientCredentials)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)
        self.register_token_generator(
            "default", _Tokens(self._access_token, expires_generator=profile.lifetime_s)
        )

    def work(self, request: Request) -> Answer:
        if request.asking.path == TOKEN:
            if request.payload.grant_type is None:
                return oauth.error(400, "invalid_request", "grant_type is missing")
            answered: Answer = self.create_token_response(request)
        else:
            endpoint = Revocation if request.asking.path == REVOKE else Introspection
            answered = self.create_endpoint_response(endpoint.ENDPOINT_NAME, request)
        return answered

    def issued(self, token: str) -> IssuedToken | None:
        found = self._bearer.own(token)
        return None if found is None else IssuedToken(*found)

    def authenticate_client(
        self, request: Request, methods: list[str], endpoint: str = "token"
    ) -> Registered:
        """The same work and the same answer for an unknown, a disabled and a mistaken client."""
        credentials = request.asking.credentials
        client = self._directory.client(credentials.client_id)
        allowed = credentials.method in methods and credentials.method in self._methods
        usable = client is not None and client.enabled and allowed
        if credentials.method == ASSERTION:
            proven = request.proven is not None and request.proven == client
        else:
            proven = matches(client.secret_hash if client and usable else None, credentials.secret)
        if client is None or not usable or not proven:
            raise InvalidClientError(status_code=401)
        request.auth_method = credentials.method
        return self._fitting(client, request)

    def _fitting(self, client: Client, request: Request) -> Registered:
        wanted = self._senders.fits(client, request.bound_to) if request.asking.path == TOKEN else None
        if wanted is not None:
            raise InvalidRequestError(wanted)
        return Registered(client, request.bound_to)

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        if status == 401:
            return oauth.unauthenticated()
        if isinstance(body, dict) and "error_description" in body:
            body = {**body, "error_description": _printable(body["error_description"])}
        return oauth.answer(status, body)

    def save_token(self, token: object, request: Request) -> None:
        """Nothing is kept of a token: it proves itself."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def query_client(self, client_id: str) -> Registered | None:
        client = self._directory.client(client_id)
        return None if client is None else Registered(client)

    def _access_token(self, client: Registered, grant_type: str, user: None, scope: str) -> str:
        scopes = frozenset(Scope(each) for each in scope.split(" ") if each)
        return self._signer.mint(client.stored, scopes, client.bound_to)


class _Tokens(BearerTokenGenerator):  # type: ignore[misc]  # Authlib publishes no types
    """Authlib's generator, which names a token that is bound to a key by its type."""

    def generate(self, grant_type: str, client: Registered, *rest: Any) -> dict[str, Any]:
        token: dict[str, Any] = super().generate(grant_type, client, *rest)
        if client.bound_to is not None and client.bound_to.startswith("jkt:"):
            token["token_type"] = "DPoP"
        return token


def _printable(text: str) -> str:
    """Only what RFC 6749, 5.2 lets a description hold."""
    clean = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    return clean[:_DESCRIPTION_MAX]
