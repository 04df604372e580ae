"""The two grants of people, in Authlib's shape: a code for tokens, and a refresh token for newer ones.

As in `grants`, these only read: what the store knew of the grant came with the request, and what must
become of it is done by `authorization_server`, in one statement that nobody can run twice.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from ordergate.security.grants import METHODS_OF_ANY, RefreshToken, Registered
from ordergate.security.persons import Grant, Person

AUTHORIZATION_CODE: Final = "authorization_code"
REFRESH_TOKEN: Final = "refresh_token"


class S256(CodeChallenge):  # type: ignore[misc]  # Authlib publishes no types
    """PKCE without the method that only repeats the challenge."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: Final = ["S256"]
    CODE_CHALLENGE_METHODS: Final = {
        "S256": lambda verifier, challenge: create_s256_code_challenge(verifier) == challenge
    }


class Code(msgspec.Struct, frozen=True):
    """A code, in Authlib's shape."""

    grant: Grant
    code_challenge_method: str = "S256"

    @property
    def code_challenge(self) -> str:
        return self.grant.challenge

    def get_redirect_uri(self) -> str:
        return self.grant.redirect_uri

    def get_scope(self) -> str:
        return RefreshToken(self.grant).get_scope()


class AuthorizationCode(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib publishes no types
    """RFC 6749, 4.1.3."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS_OF_ANY

    def query_authorization_code(self, code: str, client: Registered) -> Code | None:
        grant: Grant | None = self.request.grant
        if grant is None or grant.client_id != client.get_client_id():
            return None
        is_his = grant.bound_to in {None, self.request.bound_to}
        return Code(grant) if is_his and grant.code_is_good(self.request.now) else None

    def authenticate_user(self, code: Code) -> Person | None:
        person: Person | None = self.server.person(code.grant.user_id)
        return person

    def delete_authorization_code(self, code: Code) -> None:
        """Done by the statement that makes the grant good for tokens."""


class Refresh(RefreshTokenGrant):  # type: ignore[misc]  # Authlib publishes no types
    """RFC 6749, 6. A public client's token is good once and replaced; FAPI leaves a confidential one's."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS_OF_ANY

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802  # Authlib's name
        client: Registered = self.request.client
        return client.stored.is_public

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        grant: Grant | None = self.request.grant
        if grant is None or grant.bound_to not in {None, self.request.bound_to}:
            return None
        return RefreshToken(grant) if grant.refreshes(secret_hash(refresh_token), self.request.now) else None

    def authenticate_user(self, token: RefreshToken) -> Person | None:
        person: Person | None = self.server.person(token.grant.user_id)
        return person

    def revoke_old_credential(self, token: RefreshToken) -> None:
        """Done by the statement that puts the new one in its place."""


def secret_hash(secret: str) -> str:
    """How a code or a refresh token is kept: both are random, so a plain hash is not to be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
