"""The pages a person sees: who are you, and may this program do that. Plain HTML that loads nothing.

Everything that is put in is escaped; there is no script, and the style is named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template
from typing import Final
from urllib.parse import urlsplit

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.words import SCOPE_WORDS

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box;"
    "padding:.5rem;font:inherit}button{font:inherit;padding:.5rem 1.2rem;margin:.8rem .8rem 0 0}"
    ".env{display:inline-block;padding:.1rem .6rem;border:2px solid;font-weight:700}"
    ".live{color:#fff;background:#b00020;border-color:#b00020}.wrong{color:#b00020}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_PAGE: Final = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ordergate</title>'
    '<meta name="viewport" content="width=device-width"><style>$style</style></head>'
    '<body><h1>Ordergate</h1><p class="env $env">$env</p>$body</body></html>'
)
_LOGIN: Final = Template(
    '<p><strong>$client</strong> asks to act in your name.</p>$wrong'
    '<form method="post" action="/oauth/login">'
    '<input type="hidden" name="visit" value="$visit">'
    '<label>Name<input name="user" autocomplete="username" required maxlength="64"></label>'
    '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
    '<label>Code<input name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="6"></label>'
    "<button>Log in</button></form>"
)
_CONSENT: Final = Template(
    "<p>You are <strong>$user</strong>. May <strong>$client</strong></p><ul>$scopes</ul>"
    '<p>on the accounts $accounts?</p><form method="post" action="/oauth/consent">'
    '<input type="hidden" name="visit" value="$visit">'
    '<button name="decision" value="allow">Allow</button>'
    '<button name="decision" value="deny">Deny</button></form>'
)
_WRONG: Final = '<p class="wrong" role="alert">The name, the password or the code is wrong.</p>'


class Pages:
    """Of one environment, whose name is on every page."""

    def __init__(self, env: Env) -> None:
        self._env = env

    def login(
        self,
        client_id: str,
        visit: str,
        *,
        cookie: str | None = None,
        wrong: bool = False,
        may_end_at: str | None = None,
    ) -> Answer:
        """`may_end_at` is the program's address where a login that is right may be too weak for it."""
        body = _LOGIN.substitute(
            client=escape(client_id), visit=escape(visit), wrong=_WRONG if wrong else ""
        )
        form_to = "" if may_end_at is None else _origin(may_end_at)
        return self._page(401 if wrong else 200, body, cookie=cookie, form_to=form_to)

    def consent(
        self,
        *,
        client_id: str,
        user_id: str,
        scopes: frozenset[Scope],
        accounts: frozenset[str],
        visit: str,
        cookie: str,
        redirect_uri: str,
    ) -> Answer:
        items = "".join(f"<li>{escape(SCOPE_WORDS[scope])}</li>" for scope in sorted(scopes))
        body = _CONSENT.substitute(
            user=escape(user_id),
            client=escape(client_id),
            scopes=items,
            accounts=escape(", ".join(sorted(accounts))) or "(none)",
            visit=escape(visit),
        )
        # The answer to this form leads to the program's own address, which a browser holds against it.
        return self._page(200, body, cookie=cookie, form_to=_origin(redirect_uri))

    def stopped(self, status: int, why: str) -> Answer:
        """Nothing to go on with, and nowhere to go: an address that was not checked is not redirected to."""
        return self._page(status, f"<p>{escape(why)}</p>")

    def _page(self, status: int, body: str, *, cookie: str | None = None, form_to: str = "") -> Answer:
        text = _PAGE.substitute(style=STYLE, env=self._env.value, body=body)
        policy = (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {form_to}".rstrip()
            + "; frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": policy,
            "cache-control": "no-store",
        }
        if cookie is not None:
            headers["set-cookie"] = cookie
        return Answer(status=status, headers=headers, body=text.encode())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
