"""A person with a browser, which is an HTTP client that follows the gateway's pages as a browser does."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

PASSWORD: Final = "correct horse battery staple"
PATIENCE_S: Final = 30.0
STEP_S: Final = 30


class Browser:
    """Of one person. `ends` are the answers that the program gave to the browser, in turn."""

    def __init__(
        self,
        user: str,
        factor: str | None = None,
        *,
        password: str = PASSWORD,
        decision: str = "allow",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.user = user
        self.factor = factor
        self.password = password
        self.decision = decision
        self.opened: list[str] = []
        self.ends: list[httpx.Response] = []
        self._now = now

    def open(self, url: str) -> bool:
        """As `webbrowser.open`: returns at once."""
        self.opened.append(url)
        threading.Thread(target=self.visit, args=(url,), daemon=True).start()
        return True

    def visit(self, url: str) -> None:
        """Every page from the first to the program's own."""
        where = self.location(url)
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            self.ends.append(http.get(where))

    def location(self, url: str) -> str:
        """Where the last page of the gateway's sends the browser."""
        base = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            page = http.get(url)
            assert page.status_code == 200, page.text
            page = self._with_code(http, f"{base}/oauth/login", page, {"password": self.password})
            if page.status_code != 303:
                assert page.status_code == 200, page.text
                page = self._post(http, f"{base}/oauth/consent", page, {"decision": self.decision})
            return page.headers["location"]

    def change_password(self, url: str, given: str, new: str) -> httpx.Response:
        """By the form that the login page leads to; `given` is the password, or the code of a reset."""
        base = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            page = http.get(url)
            assert self._post(http, f"{base}/oauth/password", page, {}).status_code == 200
            return self._with_code(
                http, f"{base}/oauth/password/keep", page, {"password": given, "new": new, "again": new}
            )

    def _with_code(
        self, http: httpx.Client, url: str, page: httpx.Response, form: dict[str, str]
    ) -> httpx.Response:
        """A code that has run out on its way is followed by the one that is shown now."""
        sent = {"user": self.user, "code": self._code(), **form}
        answer = self._post(http, url, page, sent)
        if answer.status_code == 401 and (fresh := self._code()) != sent["code"]:
            answer = self._post(http, url, page, {**sent, "code": fresh})
        return answer

    @staticmethod
    def _post(http: httpx.Client, url: str, page: httpx.Response, form: dict[str, str]) -> httpx.Response:
        """The page's form. Browsers keep a Secure cookie of this very machine; httpx would not send it."""
        found = re.search(r'name="visit" value="([^"]+)"', page.text)
        assert found is not None, page.text
        cookie = page.headers["set-cookie"].partition(";")[0]
        http.cookies.clear()
        return http.post(url, data={"visit": found[1], **form}, headers={"cookie": cookie})

    def _code(self) -> str:
        """Each code is good once: a second login within its time takes a gateway whose clock is ahead."""
        if self.factor is None:
            return ""
        secret = parse_qs(urlsplit(self.factor).query)["secret"][0]
        padded = base64.b32decode(secret + "=" * (-len(secret) % 8))
        return TOTP(padded, 6, SHA1(), STEP_S).generate(int(self._now())).decode()
