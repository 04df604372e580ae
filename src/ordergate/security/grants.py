"""What Authlib asks of us: a request, a client, its own grant, revocation and introspection.

Authlib keeps the protocol (which checks, in which order, with which errors); these classes give
it our data. They only read. What must be written (a revocation) is noted on the request and
done by `authorization_server`, because Authlib is synchronous and our store is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from ordergate.core.access import Principal
from ordergate.security.bearer import client_of
from ordergate.security.clients import Client
from ordergate.security.metadata import CLIENT_CREDENTIALS
from ordergate.security.oauth_requests import ASSERTION, BASIC, POST, PUBLIC, Asking
from ordergate.security.persons import Grant
from ordergate.security.pushed import Pushed
from ordergate.security.senders import confirmation
from ordergate.security.verify import Standard

METHODS: Final = [BASIC, POST, ASSERTION]
METHODS_OF_ANY: Final = [*METHODS, PUBLIC]


class Request(OAuth2Request):  # type: ignore[misc]  # Authlib publishes no types
    """Our request in Authlib's shape.

    `proven` is the client whose assertion was checked already; `bound_to` what a token will be bound to.
    """

    def __init__(
        self, issuer: str, asking: Asking, *, proven: Client | None = None, bound_to: str | None = None
    ) -> None:
        super().__init__("POST", issuer + asking.path, headers={})
        self.asking = asking
        self.proven = proven
        self.bound_to = bound_to
        self.payload = BasicOAuth2Payload(dict(asking.form))
        self.to_revoke: Principal | None = None
        self.to_end: Grant | None = None
        self.grant: Grant | None = None
        self.pushed: Pushed | None = None
        self.now = 0

    @property
    def form(self) -> Mapping[str, str]:
        return self.asking.form


class Registered(ClientMixin):  # type: ignore[misc]  # Authlib publishes no types
    """A client that has authenticated, and what its new token will be bound to."""

    def __init__(self, stored: Client, bound_to: str | None = None) -> None:
        self.stored = stored
        self.bound_to = bound_to
        self.grant: Grant | None = None

    def get_client_id(self) -> str:
        return self.stored.client_id

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All of the client's scopes when none is asked for; None when one is not the client's."""
        own = {each.value for each in self.stored.scopes}
        asked = own if scope is None else set(scope.split(" "))
        return " ".join(sorted(asked)) if asked <= own else None

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        if grant_type == CLIENT_CREDENTIALS:
            return not self.stored.acts_for_people
        return self.stored.acts_for_people


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib publishes no types
    """RFC 6749, 4.4."""

    GRANT_TYPE = CLIENT_CREDENTIALS
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class IssuedToken(msgspec.Struct, frozen=True):
    """A token of ours that stands, in Authlib's shape."""

    principal: Principal
    standard: Standard

    def check_client(self, client: Registered) -> bool:
        return client.stored.client_id == client_of(self.principal)

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token, in Authlib's shape: what stands for a whole grant."""

    grant: Grant

    def check_client(self, client: Registered) -> bool:
        return client.stored.client_id == self.grant.client_id

    def get_scope(self) -> str:
        return " ".join(sorted(scope.value for scope in self.grant.scopes))


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib publishes no types
    """RFC 7009. A token that is none, or no longer, is a success: there is nothing to revoke."""

    CLIENT_AUTH_METHODS = METHODS_OF_ANY

    def check_params(self, request: Request, client: Registered) -> None:
        _require_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        token: IssuedToken | None = self.server.issued(token_string)
        return token

    def authenticate_token(self, request: Request, client: Registered) -> Any:
        if request.grant is None:
            return super().authenticate_token(request, client)
        token = RefreshToken(request.grant)
        if not token.check_client(client):
            raise InvalidGrantError
        return token

    def revoke_token(self, token: IssuedToken | RefreshToken, request: Request) -> None:
        if isinstance(token, RefreshToken):
            request.to_end = token.grant
        else:
            request.to_revoke = token.principal


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib publishes no types
    """RFC 7662. A client may look at its own tokens; others are not active to it."""

    CLIENT_AUTH_METHODS = METHODS

    def check_params(self, request: Request, client: Registered) -> None:
        _require_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        token: IssuedToken | None = self.server.issued(token_string)
        return token

    def check_permission(self, token: IssuedToken, client: Registered, request: Request) -> bool:
        return token.check_client(client)

    def introspect_token(self, token: IssuedToken) -> dict[str, Any]:
        principal, standard = token.principal, token.standard
        cnf = confirmation(principal.bound_to)
        return {
            "active": True,
            "token_type": "DPoP" if cnf is not None and "jkt" in cnf else "Bearer",
            **({} if cnf is None else {"cnf": cnf}),
            "scope": " ".join(sorted(scope.value for scope in principal.scopes)),
            "client_id": client_of(principal),
            "sub": principal.subject,
            "iss": standard.iss,
            "aud": standard.aud,
            "exp": standard.exp,
            "iat": standard.iat,
            "jti": standard.jti,
            "env": principal.env.value,
            "tenant": principal.tenant,
            "acct": sorted(principal.accounts),
        }


def _require_token(request: Request) -> None:
    """The hint about the token's type is ignored: there is only one type."""
    if "token" not in request.form:
        raise InvalidRequestError("token is missing")
