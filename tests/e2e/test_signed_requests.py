"""An order that its client has signed, in a real gateway: placed, proved afterwards, and never replayed."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from ordergate.security.dpop import hash_of
from ordergate.security.oauth_requests import ASSERTION_TYPE
from tests.api.asking import a_key
from tests.e2e.floor import ACCOUNT, LOGIN_EVERY_S, START_S_MAX, Floor, floor
from tests.e2e.pacing import PACE
from tests.security.signer import COVERED, signed
from tests.security.world import forge

NAME: Final = "signer"
BODY: Final = msgspec.json.encode(
    {
        "account_id": ACCOUNT,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "limit_price": "171.00",
        "quantity": "1",
        "time_in_force": "day",
    }
)


class Signer:
    """A program with one key, by which it logs in, proves what is its, and signs."""

    def __init__(self, it: Floor, http: httpx.AsyncClient) -> None:
        self.it = it
        self.http = http
        self.key = ECKey.generate_key("P-256", private=True)
        self.token = ""
        self.nonce = ""

    async def register(self, folder: Path) -> None:
        keys = folder / "keys.json"
        keys.write_text(json.dumps({"keys": [{**self.key.as_dict(private=False), "kid": "one"}]}))
        bounds = ("--sender", "dpop", "--signed-requests")
        await self.it.command(
            "clients", "add", NAME, "--account", ACCOUNT, "--public-keys", str(keys), *bounds
        )

    async def log_in(self) -> None:
        """As soon as the gateway knows the client."""
        give_up_at = time.monotonic() + START_S_MAX
        while True:
            form = {
                "grant_type": "client_credentials",
                "client_id": NAME,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(),
            }
            answer = await self._sent("POST", "/oauth/token", {}, data=form)
            if answer.status_code == 200:
                self.token = answer.json()["access_token"]
                return
            assert time.monotonic() < give_up_at, answer.text
            await PACE.sleep(LOGIN_EVERY_S)

    async def ask(self, headers: dict[str, str]) -> httpx.Response:
        return await self._sent("POST", "/v1/orders", headers, content=BODY)

    def signed(self, **changes: Any) -> dict[str, str]:
        plain = {
            "authorization": f"DPoP {self.token}",
            "content-type": "application/json",
            **a_key(),
        }
        asked = {"created": int(time.time()), "keyid": "one", "nonce": secrets.token_urlsafe(9), **changes}
        url = self.it.base_url + "/v1/orders"
        return signed(self.key, "POST", url, plain, BODY, covered=COVERED, **asked)

    async def _sent(self, method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        """With a proof; made anew where its nonce is another by now."""
        answer = await self._sent_once(method, path, headers, **body)
        nonce = answer.headers.get("dpop-nonce", self.nonce)
        if nonce == self.nonce or answer.status_code < 400:
            return answer
        self.nonce = nonce
        return await self._sent_once(method, path, headers, **body)

    async def _sent_once(
        self, method: str, path: str, headers: dict[str, str], **body: Any
    ) -> httpx.Response:
        proven = {**headers, "dpop": self._proof(method, path)}
        return await self.http.request(method, path, headers=proven, **body)

    def _proof(self, method: str, path: str) -> str:
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        claims = {
            "jti": secrets.token_urlsafe(9),
            "htm": method,
            "htu": self.it.base_url + path,
            "iat": int(time.time()),
            "nonce": self.nonce,
            **({"ath": hash_of(self.token)} if self.token else {}),
        }
        return forge(head, claims, self.key)

    def _assertion(self) -> str:
        now = int(time.time())
        claims = {"iss": NAME, "sub": NAME, "aud": self.it.base_url, "iat": now, "exp": now + 60}
        return forge({"alg": "ES256", "kid": "one"}, {**claims, "jti": secrets.token_urlsafe(9)}, self.key)


@pytest.mark.timeout(300)
async def test_a_signed_order_is_proved_after_and_not_replayed_by_a_restart(tmp_path: Path) -> None:
    async with floor(tmp_path) as it, httpx.AsyncClient(base_url=it.base_url, timeout=30.0) as http:
        signer = Signer(it, http)
        await signer.register(tmp_path)
        await signer.log_in()

        request = signer.signed()
        placed = await signer.ask(request)
        assert placed.status_code == 201, placed.text
        found = await it.command("journal", "find", placed.headers["x-correlation-id"])
        kinds = [one["kind"] for one in msgspec.json.decode(found)["events"]]
        assert {"request_signed", "order_accepted"} <= set(kinds)

        it.kill()
        await it.start()
        await it.until_ready()
        again = await signer.ask(request)
        assert (again.status_code, again.json()["code"]) == (401, "signature-invalid")
        bare = {name: value for name, value in signer.signed().items() if not name.startswith("signature")}
        unsigned = await signer.ask(bare)
        assert (unsigned.status_code, unsigned.json()["code"]) == (401, "signature-required")
        anew = await signer.ask(signer.signed())
        assert anew.status_code in (201, 422), "risk's to judge, once it is signed anew"
