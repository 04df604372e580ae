"""What the authorization server and the protected resource say about themselves (RFC 8414, RFC 9728)."""

from __future__ import annotations

from typing import Any, Final

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from ordergate.core.access import PASSWORD_ONLY, TWO_FACTORS, Scope
from ordergate.core.ids import Env
from ordergate.security.oauth_requests import ASSERTION, BASIC, POST, PUBLIC
from ordergate.security.profile import Profile
from ordergate.security.verify import ALGORITHMS

TOKEN: Final = "/oauth/token"
PAR: Final = "/oauth/par"
AUTHORIZE: Final = "/oauth/authorize"
REVOKE: Final = "/oauth/revoke"
INTROSPECT: Final = "/oauth/introspect"
METADATA: Final = "/.well-known/oauth-authorization-server"
JWKS: Final = "/.well-known/jwks.json"

CLIENT_CREDENTIALS: Final = "client_credentials"
SCOPES: Final = frozenset(scope.value for scope in Scope)


def client_methods(env: Env) -> list[str]:
    """How a client with something to prove it by proves itself; in live never with a shared secret."""
    return [ASSERTION] if env is Env.LIVE else [BASIC, POST, ASSERTION]


def of_server(profile: Profile) -> dict[str, Any]:
    """The document of RFC 8414; ValueError when Authlib finds a mistake in it."""
    methods, algorithms = client_methods(profile.env), sorted(ALGORITHMS)
    document = {
        "issuer": profile.issuer,
        "token_endpoint": profile.url(TOKEN),
        "revocation_endpoint": profile.url(REVOKE),
        "introspection_endpoint": profile.url(INTROSPECT),
        "jwks_uri": profile.url(JWKS),
        "scopes_supported": sorted(SCOPES),
        "authorization_endpoint": profile.url(AUTHORIZE),
        "pushed_authorization_request_endpoint": profile.url(PAR),
        "require_pushed_authorization_requests": True,
        "authorization_response_iss_parameter_supported": True,
        "grant_types_supported": [CLIENT_CREDENTIALS, "authorization_code", "refresh_token"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": [PASSWORD_ONLY, TWO_FACTORS],
        "dpop_signing_alg_values_supported": algorithms,
        "tls_client_certificate_bound_access_tokens": True,
        "protected_resources": [profile.audience],
    }
    public = [] if profile.env is Env.LIVE else [PUBLIC]
    for endpoint in ("token", "revocation", "introspection"):
        more = [] if endpoint == "introspection" else public
        document[f"{endpoint}_endpoint_auth_methods_supported"] = [*methods, *more]
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    AuthorizationServerMetadata(document).validate()
    return document


def of_resource(profile: Profile) -> dict[str, Any]:
    """The document of RFC 9728."""
    return {
        "resource": profile.audience,
        "resource_name": f"Ordergate, {profile.env.value}",
        "authorization_servers": [profile.issuer],
        "jwks_uri": profile.url(JWKS),
        "scopes_supported": sorted(SCOPES),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": sorted(ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
        "tls_client_certificate_bound_access_tokens": True,
    }
