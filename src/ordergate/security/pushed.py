"""Pushed authorization requests (RFC 9126): what a program asks for, before a person sees anything.

There is no other way to ask. So nothing that comes through a browser is believed: it names a request that
was checked here, once, within a minute. PKCE with S256 is part of every request.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ordergate.core.access import PASSWORD_ONLY, TWO_FACTORS, Scope
from ordergate.security.clients import Client

URN: Final = "urn:ietf:params:oauth:request_uri:"
LIFE_S: Final = 60
WAITING_MAX: Final = 10_000
OF_ONE_MAX: Final = 1_000
STATE_LENGTH_MAX: Final = 512

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE: Final = re.compile(r"[\x20-\x7e]*")
_SCOPES: Final = frozenset(scope.value for scope in Scope)
_STRENGTHS: Final = frozenset({PASSWORD_ONLY, TWO_FACTORS})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([1-9][0-9]{0,4}))?(/[\x21-\x7e]*)?")
_PORT_MAX: Final = 65_535


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may be put to a person. `bound_to` is the key that must ask for the tokens.

    `two_factors` where a login by less will not do.
    """

    client_id: str
    redirect_uri: str
    scopes: frozenset[Scope]
    challenge: str
    state: str | None
    bound_to: str | None
    two_factors: bool = False


class Wrong(Exception):
    """The request cannot be put to anybody: an error code of RFC 6749, 4.1.2.1, and a sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Requests:
    """The requests that wait for their person. In memory: after a restart a program pushes again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._waiting: OrderedDict[str, tuple[float, Pushed]] = OrderedDict()

    def push(self, pushed: Pushed) -> str | None:
        """The request's name, to be used once. None where its client, or everybody, has too many waiting."""
        now = self._monotonic()
        while self._waiting and next(iter(self._waiting.values()))[0] <= now:
            self._waiting.popitem(last=False)
        own = sum(1 for _, each in self._waiting.values() if each.client_id == pushed.client_id)
        if len(self._waiting) >= WAITING_MAX or own >= OF_ONE_MAX:
            return None
        name = URN + secrets.token_urlsafe(32)
        self._waiting[name] = (now + LIFE_S, pushed)
        return name

    def take(self, name: str, client_id: str) -> Pushed | None:
        """The request, when it is this client's and in time. Whatever comes of it, it is used up."""
        found = self._waiting.pop(name, None)
        if found is None or self._monotonic() >= found[0] or found[1].client_id != client_id:
            return None
        return found[1]


def read(form: Mapping[str, str], client: Client, proven_key: str | None) -> Pushed:
    """The request as it may be put to a person. Raises Wrong."""
    if "request" in form or "request_uri" in form:
        raise Wrong("invalid_request", "send the parameters themselves")
    if form.get("response_type") != "code":
        raise Wrong("unsupported_response_type", "the response type is code")
    if form.get("response_mode", "query") != "query":
        raise Wrong("invalid_request", "the response mode is query")
    redirect_uri = form.get("redirect_uri", "")
    if not may_redirect(redirect_uri, client.redirect_uris):
        raise Wrong("invalid_request", "the redirect URI is not one of the client's")
    challenge = form.get("code_challenge", "")
    if form.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise Wrong("invalid_request", "send a code_challenge with the method S256")
    state = form.get("state")
    if state is not None and (len(state) > STATE_LENGTH_MAX or _STATE.fullmatch(state) is None):
        raise Wrong("invalid_request", "the state is too long, or not printable ASCII")
    return Pushed(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scopes=_scopes(form.get("scope"), client),
        challenge=challenge,
        state=state,
        bound_to=_bound_to(form.get("dpop_jkt"), proven_key),
        two_factors=_two_factors(form),
    )


def may_redirect(asked: str, registered: Iterable[str]) -> bool:
    """Exactly one of the registered; at the loopback address of this machine any port will do.

    A program that people run takes the port that is free (RFC 8252, 7.3). That holds for the two addresses
    as they are written, over http, and for nothing that a resolver or a hosts file could lead elsewhere.
    """
    known = tuple(registered)
    if asked in known:
        return True
    anywhere = _without_port(asked)
    return anywhere is not None and anywhere in map(_without_port, known)


def _without_port(uri: str) -> str | None:
    """A loopback redirect less its port; None for every other."""
    found = _LOOPBACK.fullmatch(uri)
    if found is None or int(found[2] or 1) > _PORT_MAX:
        return None
    return found[1] + (found[3] or "")


def _two_factors(form: Mapping[str, str]) -> bool:
    """Whether `acr_values` lets nothing less do (RFC 9470). Logins are new: no `max_age` is too short."""
    if _SECONDS.fullmatch(form.get("max_age", "0")) is None:
        raise Wrong("invalid_request", "max_age is a number of seconds")
    asked = form.get("acr_values")
    known = _STRENGTHS & set(asked.split(" ")) if asked is not None else {PASSWORD_ONLY}
    if not known:
        raise Wrong("unmet_authentication_requirements", "there is no login of that strength here")
    return PASSWORD_ONLY not in known


def _scopes(asked: str | None, client: Client) -> frozenset[Scope]:
    if asked is None:
        return client.scopes
    names = asked.split(" ")
    if not set(names) <= _SCOPES or not {Scope(name) for name in names} <= client.scopes:
        raise Wrong("invalid_scope", "a scope is not the client's")
    return frozenset(Scope(name) for name in names)


def _bound_to(named: str | None, proven: str | None) -> str | None:
    """RFC 9449, 10: the key may be named, or proven at once."""
    if named is None:
        return proven
    if _THUMBPRINT.fullmatch(named) is None or proven not in {None, f"jkt:{named}"}:
        raise Wrong("invalid_request", "dpop_jkt is another key than the one that was proven")
    return f"jkt:{named}"
