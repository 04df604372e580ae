"""Authlib's authorization server over our clients and keys. Runs in worker threads; keeps no state."""

from __future__ import annotations

import secrets
from typing import Any, Final

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc6750 import BearerTokenGenerator

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security import oauth_requests as oauth
from ordergate.security.bearer import Bearer
from ordergate.security.clients import Client
from ordergate.security.code_grants import S256, AuthorizationCode, Refresh
from ordergate.security.directory import Directory
from ordergate.security.grants import (
    METHODS_OF_ANY,
    ClientCredentials,
    Introspection,
    IssuedToken,
    Registered,
    Request,
    Revocation,
)
from ordergate.security.hashing import matches_either
from ordergate.security.metadata import PAR, REVOKE, SCOPES, TOKEN, client_methods
from ordergate.security.oauth_requests import ASSERTION, PUBLIC, Answer
from ordergate.security.persons import Person
from ordergate.security.profile import Profile
from ordergate.security.pushed import Wrong, read
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
        if profile.env is not Env.LIVE:
            self._methods.append(PUBLIC)
        self._senders = senders
        self._directory = directory
        self._signer = signer
        self._bearer = bearer
        self.register_grant(ClientCredentials)
        self.register_grant(AuthorizationCode, [S256(required=True)])
        self.register_grant(Refresh)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)
        self.register_token_generator(
            "default", _Tokens(self._access_token, _refresh_token, expires_generator=profile.lifetime_s)
        )

    def work(self, request: Request) -> Answer:
        if request.asking.path == TOKEN:
            if request.payload.grant_type is None:
                return oauth.error(400, "invalid_request", "grant_type is missing")
            answered: Answer = self.create_token_response(request)
        elif request.asking.path == PAR:
            answered = self._push(request)
        else:
            endpoint = Revocation if request.asking.path == REVOKE else Introspection
            answered = self.create_endpoint_response(endpoint.ENDPOINT_NAME, request)
        return answered

    def issued(self, token: str) -> IssuedToken | None:
        """An access token of ours that stands."""
        found = self._bearer.own(token)
        return None if found is None else IssuedToken(*found)

    def person(self, user_id: str) -> Person | None:
        """Who may still be acted for."""
        found = self._directory.person(user_id)
        return found if found is not None and found.enabled else None

    def _push(self, request: Request) -> Answer:
        """RFC 9126. Only looks: what is pushed is kept by whoever asked for this."""
        try:
            client = self.authenticate_client(request, METHODS_OF_ANY)
            of_key = request.bound_to if (request.bound_to or "").startswith("jkt:") else None
            request.pushed = read(request.form, client.stored, of_key)
        except OAuth2Error as error:
            refused: Answer = self.handle_error_response(request, error)
            return refused
        except Wrong as wrong:
            return oauth.error(400, wrong.code, str(wrong))
        return oauth.answer(201, {})

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
        elif credentials.method == PUBLIC:
            proven = client is not None and client.is_public
        else:
            known = client if usable else None
            current, old = (known.secret_hash, known.old_hash(request.now)) if known else (None, None)
            proven = matches_either(current, old, credentials.secret)
        if client is None or not usable or not proven:
            raise InvalidClientError(status_code=401)
        request.auth_method = credentials.method
        return self._fitting(client, request)

    def _fitting(self, client: Client, request: Request) -> Registered:
        wanted = self._senders.fits(client, request.bound_to) if request.asking.path == TOKEN else None
        if wanted is not None:
            raise InvalidRequestError(wanted)
        registered = Registered(client, request.bound_to)
        registered.grant = request.grant
        return registered

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

    def _access_token(self, client: Registered, grant_type: str, user: Person | None, scope: str) -> str:
        scopes = frozenset(Scope(each) for each in scope.split(" ") if each)
        if user is not None and client.grant is not None:
            return self._signer.mint_for(user, client.stored, scopes, client.grant, client.bound_to)
        return self._signer.mint(client.stored, scopes, client.bound_to)


def _refresh_token(client: Registered, **_: object) -> str:
    """Names its grant, so that one that was used before is known for what it is."""
    if client.grant is None:
        raise ValueError("there is nothing to refresh")
    return f"{client.grant.grant_id}.{secrets.token_urlsafe(32)}"


class _Tokens(BearerTokenGenerator):  # type: ignore[misc]  # Authlib publishes no types
    """Authlib's generator, which names a token that is bound to a key by its type.

    What it tells of a person's scopes is what the token allows, and not what they once allowed.
    """

    def generate(
        self, grant_type: str, client: Registered, user: Person | None = None, *rest: Any
    ) -> dict[str, Any]:
        token: dict[str, Any] = super().generate(grant_type, client, user, *rest)
        if user is not None:
            token["scope"] = " ".join(sorted(set(token["scope"].split()) & user.scopes))
        if client.bound_to is not None and client.bound_to.startswith("jkt:"):
            token["token_type"] = "DPoP"
        return token


def _printable(text: str) -> str:
    """Only what RFC 6749, 5.2 lets a description hold."""
    clean = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    return clean[:_DESCRIPTION_MAX]
