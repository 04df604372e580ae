"""Tokens, always bound to a key of ours: a program's own, or a person's out of the login that is kept.

Every token of a person is got under the lock of the profile's folder: a refresh token that is used twice
ends the whole login, and two commands at once would do just that.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import msgspec

from ordergate.cli.exchange import Exchange, ProvesItself, decoded, for_programs
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.private import Login, Private, read_key
from ordergate.cli.profiles import Profile
from ordergate.cli.proofs import assertion

RENEW_S: Final = 60.0
"""A token is renewed this long before it expires."""

OVER: Final = "login-over"
LogIn = Callable[[], Login]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`renew_at` is on this process's monotonic clock, `expires_at` in seconds since the epoch."""

    text: str
    renew_at: float
    expires_at: float
    answer: dict[str, Any]


class Tokens(Protocol):
    """Every method raises Stopped."""

    def token(self) -> Token:
        """One that is good for a while yet."""
        ...

    def another(self, refused: str) -> bool:
        """Have another than the one that was refused; False where there is no hope of one."""
        ...

    def log_in_again(self) -> bool:
        """Have a token of a new login; False where nobody is there to log in."""
        ...


class ProgramTokens:
    """A program's own, each got with its secret or its key; none is kept when the command ends."""

    def __init__(self, profile: Profile, exchange: Exchange, proves: ProvesItself) -> None:
        self._profile = profile
        self._exchange = exchange
        self._proves = proves
        self._token: Token | None = None

    def token(self) -> Token:
        if self._token is None or time.monotonic() > self._token.renew_at:
            self._token = self._got(proven=True)
        return self._token

    def another(self, refused: str) -> bool:
        return False

    def log_in_again(self) -> bool:
        """A program logs in for each of its tokens."""
        self._token = None
        return True

    def of_whoever_has_it(self) -> Token:
        """One that is bound to nobody, where the gateway gives such tokens."""
        return self._got(proven=False)

    def _got(self, *, proven: bool) -> Token:
        form = {"grant_type": "client_credentials"}
        answer = self._exchange.post(self._profile.token_url, form, self._proves, proven=proven)
        told = decoded(answer)
        if not has_token(answer, told):
            raise Stopped(ExitCode.UNREACHABLE, _no_token(self._profile, told), for_programs(told))
        lives_s = lifetime_of(told)
        return Token(
            text=told["access_token"],
            renew_at=time.monotonic() + _renew_in(lives_s),
            expires_at=time.time() + lives_s,
            answer=told,
        )


class PersonTokens:
    """A person's, out of the login that is kept; `log_in` makes a new one where somebody is there."""

    def __init__(
        self,
        profile: Profile,
        exchange: Exchange,
        proves: ProvesItself,
        *,
        private: Private,
        log_in: LogIn,
        how: str,
    ) -> None:
        """`how` is the command that logs in."""
        self._profile = profile
        self._exchange = exchange
        self._proves = proves
        self._private = private
        self._log_in = log_in
        self._how = how
        self._token: Token | None = None

    def token(self) -> Token:
        if self._token is None or time.monotonic() > self._token.renew_at:
            self._token = _of(self._current(refused=None))
        return self._token

    def another(self, refused: str) -> bool:
        """One refresh: the key that had signed the old one may be gone, or this machine's clock be wrong."""
        self._token = _of(self._current(refused))
        return True

    def log_in_again(self) -> bool:
        if not somebody_is_there():
            return False
        self._token = _of(self._log_in())
        return True

    def kept(self) -> Login:
        """The login as it was left, when it is one at this gateway. Raises Stopped."""
        login = self._private.login()
        place = (self._profile.token_url, self._profile.client_id)
        if login is None or (login.token_url, login.client_id) != place:
            raise self._over("nobody is logged in here")
        return login

    def _current(self, refused: str | None) -> Login:
        login = self.kept()
        if _is_good(login, refused):
            return login
        with self._private.locked():
            login = self.kept()  # another command may have renewed it meanwhile
            if _is_good(login, refused):
                return login
            fresh = self._refreshed(login)
            self._private.keep(fresh)
        return fresh

    def _refreshed(self, login: Login) -> Login:
        form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
        answer = self._exchange.post(self._profile.token_url, form, self._proves)
        told = decoded(answer)
        if has_token(answer, told):
            return login_of(self._profile, told, before=login)
        if isinstance(told, dict) and told.get("error") == "invalid_grant":
            self._private.forget()
            raise self._over("the login is over")
        raise Stopped(ExitCode.UNREACHABLE, _no_token(self._profile, told), for_programs(told))

    def _over(self, what: str) -> Stopped:
        sentence = f"{what}: `{self._how}` begins a login"
        return Stopped(ExitCode.UNREACHABLE, sentence, {"code": OVER, "detail": sentence})


def somebody_is_there() -> bool:
    """A person at a terminal, who can be asked to log in."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def proves_itself(profile: Profile, file: Path) -> ProvesItself:
    """How the profile's program says who it is. Raises Stopped."""
    name = profile.client_id
    if profile.client_secret is not None:
        login = base64.b64encode(f"{name}:{profile.client_secret}".encode()).decode()
        return lambda: ({}, {"authorization": f"Basic {login}"})
    if profile.client_key is not None:
        key = read_key(file.parent / profile.client_key)
        return lambda: (assertion(key, name, profile.issuer), {})
    return lambda: ({"client_id": name}, {})


def login_of(profile: Profile, told: dict[str, Any], before: Login | None = None) -> Login:
    """What the token endpoint has told. A program with a key keeps the refresh token that it had before."""
    now, lives_s = time.time(), lifetime_of(told)
    refresh_token = told.get("refresh_token", "" if before is None else before.refresh_token)
    return Login(
        token_url=profile.token_url,
        client_id=profile.client_id,
        since=now if before is None else before.since,
        refresh_token=refresh_token,
        access_token=told["access_token"],
        answer={name: value for name, value in told.items() if name not in ("access_token", "refresh_token")},
        got_at=now,
        renew_at=now + _renew_in(lives_s),
        expires_at=now + lives_s,
    )


def has_token(answer: httpx.Response, told: Any) -> bool:
    return answer.status_code == 200 and isinstance(told, dict) and "access_token" in told


def lifetime_of(told: dict[str, Any]) -> float:
    return float(told.get("expires_in", 0))


def _is_good(login: Login, refused: str | None) -> bool:
    """In time by a clock that may have been set since, and not the one that was refused."""
    return login.got_at <= time.time() < login.renew_at and login.access_token != refused


def _renew_in(lives_s: float) -> float:
    return max(lives_s - RENEW_S, lives_s / 2)


def _of(login: Login) -> Token:
    left_s = login.renew_at - time.time()
    return Token(
        text=login.access_token,
        renew_at=time.monotonic() + left_s,
        expires_at=login.expires_at,
        answer=login.answer,
    )


def _no_token(profile: Profile, told: Any) -> str:
    said = told if isinstance(told, dict) else {}
    why = said.get("error_description") or said.get("error") or said.get("detail")
    return f"no token for client {profile.client_id!r} from {profile.token_url}: {why or 'no reason given'}"
