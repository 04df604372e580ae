"""The gateway's API as the commands use it: a token that is bound to our key, every no as a sentence.

A command is never sent under two keys: when an answer is lost, the same key asks again, and the
gateway answers for the first time it was asked. When no answer tells what was done, the key is told, so
that a person or a program can ask again under it.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from joserfc.jwk import ECKey

from ordergate.cli import authorizing
from ordergate.cli.authorizing import Wanted
from ordergate.cli.exchange import Exchange, Sent, decoded, for_programs
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.output import complaints
from ordergate.cli.private import SENDER, Login, Private
from ordergate.cli.profiles import Profile, locate, read
from ordergate.cli.proofs import Proofs
from ordergate.cli.tokens import PersonTokens, ProgramTokens, Token, Tokens, proves_itself
from ordergate.core.refusals import Code

ANSWER_S_MAX: Final = 40.0  # longer than the longest wait that may be asked for
CONNECT_S_MAX: Final = 5.0
PAGE: Final = 500


@contextmanager
def gateway(profile: Path | None) -> Iterator[GatewayClient]:
    """The gateway of this profile, or of the nearest one."""
    file = locate(profile)
    found = read(file)
    private = Private(file)
    with connection(found) as http:
        exchange = Exchange(http, Proofs(_sender(found, private)))
        yield GatewayClient(found, exchange, _tokens(found, file, exchange, private))


@contextmanager
def connection(profile: Profile) -> Iterator[httpx.Client]:
    limits = httpx.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
    with httpx.Client(base_url=profile.base_url, timeout=limits, trust_env=not profile.is_local) as http:
        yield http


def logging_in(file: Path) -> str:
    """The command that logs in with this profile."""
    return f"ordergate login --profile {shlex.quote(str(file))}"


def _sender(profile: Profile, private: Private) -> ECKey:
    """What tokens are bound to. A program's end with the command, and so does their key."""
    return private.key(SENDER) if profile.person else ECKey.generate_key("P-256", private=True)


def _tokens(profile: Profile, file: Path, exchange: Exchange, private: Private) -> Tokens:
    proves = proves_itself(profile, file)
    if not profile.person:
        return ProgramTokens(profile, exchange, proves)

    def log_in() -> Login:
        tell("this takes a login of the last minutes, by two factors")
        kept = tokens.kept()
        wanted = Wanted(two_factors=True, scopes=str(kept.answer.get("scope", "")).split())
        login = authorizing.log_in(profile, exchange, proves, wanted, tell)
        if _who(exchange, login) != _who(exchange, kept):
            raise Stopped(ExitCode.REFUSED, "somebody else logged in: nothing was done or kept")
        private.begin(login)
        return login

    tokens = PersonTokens(profile, exchange, proves, private=private, log_in=log_in, how=logging_in(file))
    return tokens


def _who(exchange: Exchange, login: Login) -> str:
    """Whom the gateway takes the owner of this login for. Raises Stopped."""
    answer = exchange.ask("GET", "/v1/access/me", login.access_token)
    told = decoded(answer)
    if not answer.is_success:
        raise refused(answer.status_code, told)
    return str(told["subject"])


def tell(sentence: str) -> None:
    """To the person at the terminal, and to no program that reads."""
    complaints().print(f"ordergate: {sentence}", markup=False, soft_wrap=True)


class GatewayClient:
    """Every method raises Stopped when the answer is no, or when there is none."""

    def __init__(self, profile: Profile, exchange: Exchange, tokens: Tokens) -> None:
        self.profile = profile
        self.exchange = exchange
        self.tokens = tokens

    def get(self, path: str, **query: Any) -> Any:
        asked = {name: _text(value) for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=asked)

    def pages(self, path: str, name: str, limit: int, **query: Any) -> Iterator[list[Any]]:
        """Up to `limit` things of a listing, page by page."""
        for page in self.whole_pages(path, name, limit, **query):
            yield page[name]

    def whole_pages(self, path: str, name: str, limit: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The same, with what else a page says."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(path, limit=min(limit, PAGE), cursor=cursor, **query)
            yield page
            limit -= len(page[name])
            cursor = page["next"]
            if cursor is None:
                return

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, wait_s: int = 0) -> Any:
        """A request that is harmless to repeat by its nature."""
        headers = {"prefer": f"wait={wait_s}"} if wait_s else None
        return self._ask(method, path, body=body, headers=headers)

    def command(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        wait_s: int = 0,
        query: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> Any:
        """A request that acts once, however often it has to be sent; `if_match` is an ETag that was seen."""
        key = key or secrets.token_hex(16)
        headers = {"idempotency-key": key}
        if wait_s:
            headers["prefer"] = f"wait={wait_s}"
        if if_match is not None:
            headers["if-match"] = if_match
        sent = Sent()
        try:
            return self._ask(method, path, body=body, headers=headers, params=query, sent=sent)
        except Stopped as stopped:
            if not sent.may_be_done:
                raise
            told = {**stopped.told, "idempotency_key": key}
            raise Stopped(stopped.code, f"{stopped.sentence}\n{_again(key)}", told) from stopped
        except KeyboardInterrupt:
            if sent.under_way:
                tell(_again(key))
            raise

    def token(self) -> Token:
        """A token that is good for a while yet."""
        return self.tokens.token()

    def token_for_others(self) -> Token:
        """One that is bound to nobody, for who has no key of ours."""
        if isinstance(self.tokens, ProgramTokens):
            return self.tokens.of_whoever_has_it()
        raise Stopped(
            ExitCode.REFUSED, "a person's token is bound to the key of this profile, and of no use elsewhere"
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        sent: Sent | None = None,
    ) -> Any:
        named, content = dict(headers or {}), None
        if body is not None:
            content = msgspec.json.encode(body)
            named["content-type"] = "application/json"

        def asked() -> tuple[httpx.Response, str]:
            token = self.token().text
            request = {"content": content, "headers": named, "params": params}
            return self.exchange.ask(method, path, token, sent=sent, **request), token

        answer, token = asked()
        told = decoded(answer)
        if answer.status_code == 401 and self._may_ask_again(told, token):
            answer, _ = asked()
            told = decoded(answer)
        if answer.is_success:
            return told
        raise refused(answer.status_code, told)

    def _may_ask_again(self, told: Any, token: str) -> bool:
        """Whether there is another token, for one that is not good any more or of too old a login.

        Nothing has been done yet, and the same key asks again.
        """
        code = told.get("code") if isinstance(told, dict) else None
        if code == Code.UNAUTHENTICATED:
            return self.tokens.another(token)
        return code == Code.STEP_UP_REQUIRED and self.tokens.log_in_again()


def _again(key: str) -> str:
    return f"it may have been done: ask again with --key {key}"


def refused(status: int, told: Any) -> Stopped:
    """What a problem document says, in words and for programs."""
    code = ExitCode.UNREACHABLE if status == 401 else ExitCode.REFUSED
    if isinstance(told, dict) and told.get("code") == "step-up-required":
        code = ExitCode.REFUSED  # it knows us well
    if not isinstance(told, dict) or "code" not in told:
        return Stopped(code, f"the gateway answered {status} without saying why", for_programs(told))
    lines = [f"{told['code']}: {told.get('detail') or told.get('title', '')}"]
    lines += [f"  {error['field']}: {error['message']}" for error in told.get("errors", ())]
    lines += [
        f"  {failed['control']} {failed['reason']}: {failed['detail']}"
        for failed in told.get("failed_controls", ())
    ]
    if told["code"] == Code.STEP_UP_REQUIRED:
        lines.append("  `ordergate login` with this profile, and the same command again")
    return Stopped(code, "\n".join(lines), told)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
