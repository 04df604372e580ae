"""The pages a person sees: for who they are, what a program may do, and a new password. They load nothing.

Everything that is put in is escaped, and the style is named by its hash. There is no script but on a page
that asks an authenticator for something, where it is a file of ours.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import urlsplit

import msgspec

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.words import SCOPE_WORDS

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box;"
    "padding:.5rem;font:inherit}button{font:inherit;padding:.5rem 1.2rem;margin:.8rem .8rem 0 0}"
    ".env{display:inline-block;padding:.1rem .6rem;border:2px solid;font-weight:700}"
    "input[type=checkbox]{display:inline;width:auto;margin-right:.5rem}"
    ".beside{border-top:1px solid #ccc;margin-top:1.5rem}"
    ".live{color:#fff;background:#b00020;border-color:#b00020}.wrong{color:#b00020}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_PAGE: Final = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ordergate</title>'
    '<meta name="viewport" content="width=device-width"><style>$style</style></head>'
    '<body><h1>Ordergate</h1><p class="env $env">$env</p>$body</body></html>'
)
_LOGIN: Final = Template(
    "<p><strong>$client</strong> asks to act in your name.</p>$told"
    '<form method="post" action="/oauth/login">'
    '<input type="hidden" name="visit" value="$visit">'
    '<label>Name<input name="user" autocomplete="username" required maxlength="64"></label>'
    '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
    "$code<button>Log in</button></form>$passkey$password"
)
# What the browser checks of a new password is for whoever mistypes it; it is judged where it is made.
_PASSWORD: Final = Template(
    "<p>Choose a new password. Whoever has lost theirs gives the code of a reset in its place.</p>$wrong"
    '<form method="post" action="/oauth/password/keep"$asks>'
    '<input type="hidden" name="visit" value="$visit">'
    '<label>Name<input name="user" autocomplete="username" required maxlength="64"></label>'
    "<label>Password of now, or code of a reset"
    '<input name="password" type="password" autocomplete="current-password" required></label>'
    '<label>New password<input name="new" type="password" autocomplete="new-password" required></label>'
    "<label>New password again"
    '<input name="again" type="password" autocomplete="new-password" required></label>$factor'
    '<label><input name="end" type="checkbox" value="logins" checked>'
    "End all logins there are, and what programs got by them</label>"
    '<button>Change the password</button><p role="status"></p></form>$passkey'
)
_CODE: Final = (
    '<label>Code<input name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="6"></label>'
)
_CREDENTIAL: Final = (
    '<input type="hidden" name="credential"><p>Your passkey is asked for in the place of a code.</p>'
    "<noscript><p>This browser runs no scripts, and passkeys need one.</p></noscript>"
)
_CONSENT: Final = Template(
    "$said<p>You are <strong>$user</strong>. May <strong>$client</strong></p><ul>$scopes</ul>"
    '<p>on the accounts $accounts?</p><form method="post" action="/oauth/consent">'
    '<input type="hidden" name="visit" value="$visit">'
    '<button name="decision" value="allow">Allow</button>'
    '<button name="decision" value="deny">Deny</button></form>$passkey'
)
_BUTTON: Final = Template(
    '<form method="post" action="$action" class="beside">'
    '<input type="hidden" name="visit" value="$visit"><button>$what</button></form>'
)
# The browser's own check of `label` is for whoever mistypes it; ours is where it is kept.
_ASKED: Final = Template(
    '<form method="post" action="$action" class="beside" data-ceremony="$ceremony" data-options="$options">'
    '<input type="hidden" name="visit" value="$visit"><input type="hidden" name="credential">$label'
    '<button>$what</button><p role="status"></p>'
    "<noscript><p>This browser runs no scripts, and passkeys need one.</p></noscript></form>"
    "$script"
)
_SCRIPT: Final = '<script src="/oauth/passkey.js" defer></script>'
_LABEL: Final = Template(
    '<label>What you call it<input name="label" required maxlength="32" value="$label" '
    'pattern="[A-Za-z0-9][A-Za-z0-9 ._\\-]*"></label>'
)
_ACTIONS: Final = {
    "show": ("/oauth/passkey", "/oauth/passkey/login"),
    "make": ("/oauth/passkey/new", "/oauth/passkey/keep"),
    "prove": ("/oauth/password/passkey", "/oauth/password/keep"),
}
WRONG: Final = "The name, the password or the code is wrong."
SCRIPT: Final = files("ordergate.security.people").joinpath("passkey.js").read_bytes()


class Asking(msgspec.Struct, frozen=True):
    """What a page asks an authenticator for, as JSON; and what a new passkey may be called."""

    options: str
    label: str = ""


class Pages:
    """Of one environment, whose name is on every page."""

    def __init__(self, env: Env, *, passkeys: bool) -> None:
        """Without `passkeys` none is offered: browsers would make none for this server."""
        self._env = env
        self._passkeys = passkeys

    def login(
        self,
        client_id: str,
        visit: str,
        *,
        cookie: str | None = None,
        wrong: str | None = None,
        said: str = "",
        asked: Asking | None = None,
        may_end_at: str | None = None,
    ) -> Answer:
        """`may_end_at` is the program's address where a login that is right may be too weak for it."""
        body = _LOGIN.substitute(
            client=escape(client_id),
            visit=escape(visit),
            told=_told(said, wrong or ""),
            code=_CODE,
            passkey=self._passkey("show", "Use a passkey", visit, asked),
            password=_BUTTON.substitute(
                action="/oauth/password", visit=escape(visit), what="Change the password"
            ),
        )
        form_to = "" if may_end_at is None else _origin(may_end_at)
        return self._page(
            200 if wrong is None else 401, body, cookie=cookie, form_to=form_to, runs=asked is not None
        )

    def consent(
        self,
        *,
        client_id: str,
        user_id: str,
        scopes: frozenset[Scope],
        accounts: frozenset[str],
        visit: str,
        cookie: str | None,
        redirect_uri: str,
        said: str = "",
        wrong: str = "",
        makes: bool = False,
        asked: Asking | None = None,
    ) -> Answer:
        """With `makes` they may make a passkey, too. `asked` where the page asks for one."""
        items = "".join(f"<li>{escape(SCOPE_WORDS[scope])}</li>" for scope in sorted(scopes))
        body = _CONSENT.substitute(
            user=escape(user_id),
            client=escape(client_id),
            scopes=items,
            accounts=escape(", ".join(sorted(accounts))) or "(none)",
            visit=escape(visit),
            said=_told(said, wrong),
            passkey=self._passkey("make", "Make a passkey", visit, asked) if makes else "",
        )
        # The answer to this form leads to the program's own address, which a browser holds against it.
        return self._page(200, body, cookie=cookie, form_to=_origin(redirect_uri), runs=asked is not None)

    def password(
        self, visit: str, *, status: int = 200, wrong: str = "", asked: Asking | None = None
    ) -> Answer:
        """For a new password. `asked` where a passkey is asked for in the place of a code."""
        offered = self._passkey("prove", "Use a passkey in the place of a code", visit, None)
        asks = "" if asked is None else f' data-ceremony="prove" data-options="{escape(asked.options)}"'
        body = _PASSWORD.substitute(
            wrong=_told("", wrong),
            visit=escape(visit),
            asks=asks,
            factor=_CODE if asked is None else _CREDENTIAL,
            passkey=offered if asked is None else _SCRIPT,
        )
        return self._page(status, body, runs=asked is not None)

    def script(self) -> Answer:
        headers = {"content-type": "text/javascript; charset=utf-8", "cache-control": "no-store"}
        return Answer(status=200, headers=headers, body=SCRIPT)

    def stopped(self, status: int, why: str) -> Answer:
        """Nothing to go on with, and nowhere to go: an address that was not checked is not redirected to."""
        return self._page(status, f"<p>{escape(why)}</p>")

    def _passkey(self, ceremony: str, what: str, visit: str, asked: Asking | None) -> str:
        """A button that asks us, or, where we have said what to ask for, one that asks the authenticator."""
        if not self._passkeys:
            return ""
        first, then = _ACTIONS[ceremony]
        if asked is None:
            return _BUTTON.substitute(action=first, visit=escape(visit), what=what)
        return _ASKED.substitute(
            action=then,
            visit=escape(visit),
            what=what,
            ceremony=ceremony,
            options=escape(asked.options),
            label=_LABEL.substitute(label=escape(asked.label)) if asked.label else "",
            script=_SCRIPT,
        )

    def _page(
        self, status: int, body: str, *, cookie: str | None = None, form_to: str = "", runs: bool = False
    ) -> Answer:
        text = _PAGE.substitute(style=STYLE, env=self._env.value, body=body)
        script = "script-src 'self'; " if runs else ""
        forms = f"form-action 'self' {form_to}".rstrip()
        policy = (
            f"default-src 'none'; {script}style-src 'sha256-{_STYLE_HASH}'; {forms}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": policy,
            "cache-control": "no-store",
        }
        if cookie is not None:
            headers["set-cookie"] = cookie
        return Answer(status=status, headers=headers, body=text.encode())


def _told(said: str, wrong: str) -> str:
    """What was done, and what is wrong, for whoever reads the page and whoever has it read to them."""
    alert = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return alert + (f'<p role="status">{escape(said)}</p>' if said else "")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
