"""A person's login from the command line: pushed, opened in a browser, answered here, and made into tokens.

Authorization code with PKCE and a request that is pushed (RFC 9126), bound from its first step to the key
that will use the tokens. The answer must be this login's (`state`) and this gateway's (`iss`, RFC 9207). The
program sees no password.
"""

from __future__ import annotations

import secrets
import webbrowser
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from ordergate.cli import loopback
from ordergate.cli.exchange import Exchange, ProvesItself, decoded, for_programs
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.private import Login
from ordergate.cli.profiles import Profile
from ordergate.cli.tokens import has_token, login_of
from ordergate.core.access import LOGIN_S_MAX, TWO_FACTORS

WAIT_S_MAX: Final = 600.0
"""As long as the gateway's pages are good."""

METADATA: Final = "/.well-known/oauth-authorization-server"
Tell = Callable[[str], None]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway's authorization server says of itself (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    pushed_authorization_request_endpoint: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    authorization_response_iss_parameter_supported: bool = False

    @property
    def lets_in_public_programs(self) -> bool:
        return "none" in self.token_endpoint_auth_methods_supported


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the person. No scopes: all that the program may have.

    `public_keys` is the file with the program's public key, where it has one.
    """

    public_keys: str | None = None
    scopes: Sequence[str] = ()
    two_factors: bool = False
    browser: bool = True


def discovered(exchange: Exchange, issuer: str) -> Server:
    """Raises Stopped where the gateway has no logins of its own, or its server says that it is another."""
    answer = exchange.get(issuer + METADATA)
    if answer.status_code == 404:
        raise Stopped(
            ExitCode.REFUSED, f"{issuer} has no logins of its own: its people log in at another issuer's"
        )
    try:
        server = msgspec.json.decode(answer.content, type=Server)
    except msgspec.DecodeError as error:
        raise Stopped(ExitCode.UNREACHABLE, f"{issuer} does not say how to log in: {error}") from error
    places = (
        server.authorization_endpoint,
        server.token_endpoint,
        server.revocation_endpoint,
        server.pushed_authorization_request_endpoint,
    )
    if server.issuer != issuer or not all(place.startswith(issuer + "/") for place in places):
        raise Stopped(ExitCode.UNREACHABLE, f"{issuer} says that it is {server.issuer}: use its own name")
    return server


def log_in(profile: Profile, exchange: Exchange, proves: ProvesItself, wanted: Wanted, tell: Tell) -> Login:
    """Raises Stopped. What comes of it is kept by whoever asked."""
    server = discovered(exchange, profile.issuer)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    with loopback.listening(state) as back:
        asked = {
            "response_type": "code",
            "redirect_uri": back.url,
            "state": state,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if wanted.scopes:
            asked["scope"] = " ".join(wanted.scopes)
        if wanted.two_factors:
            asked |= {"acr_values": TWO_FACTORS, "max_age": str(LOGIN_S_MAX)}
        name = _pushed(exchange, server, asked, proves, _registering(profile, wanted))
        named = urlencode({"client_id": profile.client_id, "request_uri": name})
        page = f"{server.authorization_endpoint}?{named}"
        tell(f"log in within a minute at {page}")
        if wanted.browser:
            webbrowser.open(page)
        answer = back.wait(WAIT_S_MAX)
    if answer is None:
        raise Stopped(ExitCode.REFUSED, f"nobody logged in within {WAIT_S_MAX / 60:.0f} minutes")
    code = _code_in(answer, server)
    redeemed = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back.url,
        "code_verifier": verifier,
    }
    given = exchange.post(server.token_endpoint, redeemed, proves)
    told = decoded(given)
    if not has_token(given, told) or "refresh_token" not in told:
        raise _refused("the login came to nothing", told)
    if told.get("token_type") != "DPoP":
        raise Stopped(ExitCode.REFUSED, "the gateway's token is not bound to the key of this profile")
    return login_of(profile, told)


def end(profile: Profile, exchange: Exchange, proves: ProvesItself, login: Login) -> None:
    """Have the gateway end everything that the login led to. Raises Stopped."""
    server = discovered(exchange, profile.issuer)
    form = {"token": login.refresh_token, "token_type_hint": "refresh_token"}
    answer = exchange.post(server.revocation_endpoint, form, proves, proven=False)
    if answer.status_code != 200:
        raise _refused("the gateway did not end the login", decoded(answer))


def _pushed(
    exchange: Exchange, server: Server, asked: dict[str, str], proves: ProvesItself, registering: str
) -> str:
    answer = exchange.post(server.pushed_authorization_request_endpoint, asked, proves)
    told = decoded(answer)
    if answer.status_code == 201 and isinstance(told, dict) and "request_uri" in told:
        return str(told["request_uri"])
    if answer.status_code == 401:
        raise Stopped(ExitCode.UNREACHABLE, registering, for_programs(told))
    raise _refused("the gateway did not take the request", told)


def _registering(profile: Profile, wanted: Wanted) -> str:
    """What is to be done where the gateway does not know the program."""
    keys = "" if wanted.public_keys is None else f" --public-keys {wanted.public_keys}"
    return (
        f"the gateway does not know this program: whoever administers it registers it, once, with "
        f"`ordergate clients add {profile.client_id} --cli --account ...{keys}`"
    )


def _code_in(answer: dict[str, str], server: Server) -> str:
    """The code of an answer that this server gave. Raises Stopped."""
    if answer.get("iss") != server.issuer:
        raise Stopped(ExitCode.REFUSED, "another server answered than was asked: nothing is taken of it")
    if answer.get("error") == "access_denied":
        raise Stopped(ExitCode.REFUSED, "the login was denied", {"code": "access-denied", "detail": "denied"})
    if answer.get("error") == "unmet_authentication_requirements":
        raise Stopped(
            ExitCode.REFUSED,
            "this takes a login by two factors, and this person has one: `ordergate users add --replace` "
            "gives another",
        )
    if "error" in answer or not answer.get("code"):
        raise Stopped(ExitCode.REFUSED, f"the login came to nothing: {answer.get('error', 'no code')}")
    return answer["code"]


def _refused(what: str, told: Any) -> Stopped:
    why = told.get("error_description") or told.get("error") if isinstance(told, dict) else None
    return Stopped(ExitCode.REFUSED, f"{what}: {why or 'no reason given'}", for_programs(told))
