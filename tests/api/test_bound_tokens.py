"""Tokens that are bound to a key or a certificate, over real sockets: REST, the stream, and real TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ordergate.api.certificates import server_context, thumbprint
from ordergate.api.deps import AuthorizationEndpoint
from ordergate.core.ids import AccountId
from ordergate.security.dpop import NONCE_S
from ordergate.wiring.gateway import mounted
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import ADMIN_URL, deps_of
from tests.api.served import PATIENCE_S, Served, Talk, serving
from tests.security.world import World, other_key, world

BASE = "https://gateway.example"


@asynccontextmanager
async def gateway(books: Books, **options: Any) -> AsyncIterator[tuple[Served, World]]:
    """A gateway whose tokens are real. It is called by its public name, whatever port it has."""
    here = await world(base_url=BASE)
    here.accounts = frozenset({AccountId(ACCOUNT)})
    here.secret = await here.security.register(
        "desk", tenant="demo", scopes=list(here.scopes), accounts=here.accounts
    )
    endpoints: tuple[AuthorizationEndpoint, ...] = tuple(
        mounted(endpoint) for endpoint in here.security.endpoints()
    )
    deps = msgspec.structs.replace(deps_of(books), identity=here.bearer, authorization=endpoints)
    async with serving(deps, **options) as served:
        yield served, here


def dpop(here: World, token: str, method: str = "POST", path: str = "/v1/orders", **changes: Any) -> Any:
    return {"authorization": f"DPoP {token}", "dpop": here.proof(method, path, token, **changes)}


async def place(served: Served, headers: dict[str, str]) -> httpx.Response:
    async with served.client(None) as client:
        return await client.post("/v1/orders", json=an_order(), headers={**headers, **a_key()})


async def test_an_order_with_a_bound_token_and_a_proof_is_placed(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)

        answers = [await place(served, dpop(here, token)) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]


async def test_a_stolen_token_places_nothing(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        used = dpop(here, token)
        assert (await place(served, used)).status_code == 201

        for headers in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"Bearer {token}", "dpop": here.proof(token=token)},
            {"authorization": f"DPoP {token}"},
            used,
            dpop(here, token, key=other_key()),
            dpop(here, token, method="DELETE"),
        ):
            answer = await place(served, headers)
            assert answer.status_code == 401
            assert answer.json()["code"] == "invalid-dpop-proof"
            assert answer.headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')


@pytest.mark.parametrize("word", ["bound", "Bearer", "DPoP", "x5t", ""])
async def test_no_word_before_a_stolen_token_makes_it_another(books: Books, word: str) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        assert (await place(served, dpop(here, token))).status_code == 201
        answer = await place(served, {"authorization": f"Bearer {word} {token}"})
        assert answer.status_code == 401


MANY = 60


async def guess(served: Served) -> int:
    """The last status of many requests with tokens that nobody issued."""
    async with served.client(None) as client:
        bad = [{"authorization": f"Bearer guess-{number}"} for number in range(MANY)]
        return [(await client.get("/v1/accounts", headers=one)).status_code for one in bad][-1]


async def prove_wrongly(served: Served, here: World, token: str) -> int:
    """The last status of many requests with this token and proofs that do not hold."""
    wrong = [dpop(here, token, method="DELETE") for _ in range(MANY)]
    return [(await place(served, one)).status_code for one in wrong][-1]


async def test_a_bound_token_that_is_known_never_waits_for_its_neighbours_failures(books: Books) -> None:
    async with gateway(books) as (served, here):
        token, unseen = await here.token(bound=True), await here.token(bound=True)
        order = (await place(served, dpop(here, token))).json()["id"]
        assert await guess(served) == 429

        path = f"/v1/orders/{order}"
        async with served.client(None) as client:
            headers = {**dpop(here, token, "DELETE", path), **a_key()}
            canceled = await client.delete(path, headers=headers)

        assert canceled.status_code == 202
        assert (await place(served, dpop(here, unseen))).status_code == 429


async def test_a_refused_proof_costs_the_token_that_it_came_with_and_no_other(books: Books) -> None:
    """A neighbour whose clock is wrong locks nobody out, and himself only until a proof of his holds."""
    async with gateway(books) as (served, here):
        wrong, other = await here.token(bound=True), await here.token(bound=True)
        assert await prove_wrongly(served, here, wrong) == 429

        assert (await place(served, dpop(here, wrong))).status_code == 429
        assert (await place(served, dpop(here, other))).status_code == 201


async def test_refused_proofs_do_not_lock_out_a_token_whose_proofs_have_held(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        assert (await place(served, dpop(here, token))).status_code == 201
        assert await prove_wrongly(served, here, token) == 401

        assert (await place(served, dpop(here, token))).status_code == 201


async def test_a_proof_names_the_listener_that_is_asked(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        path = "/v1/access/changes"

        async def ask(base_url: str, **changes: Any) -> int:
            headers = dpop(here, token, "GET", path, **changes)
            async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S) as client:
                return (await client.get(path, headers=headers)).status_code

        assert await ask(served.admin_url, htu=ADMIN_URL + path) == 403  # it lacks the scope
        assert await ask(served.admin_url) == 401
        assert await ask(served.base_url, htu=ADMIN_URL + path) == 404  # nothing is there


async def test_the_nonce_is_told_and_then_serves(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)

        told = await place(served, dpop(here, token, nonce=None))
        again = await place(served, dpop(here, token, nonce=told.headers["dpop-nonce"]))

        assert (told.status_code, told.json()["code"]) == (401, "use-dpop-nonce")
        assert 'error="use_dpop_nonce"' in told.headers["www-authenticate"]
        assert again.status_code == 201


async def test_every_answer_to_a_proof_tells_the_nonce_of_the_next(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)

        placed = await place(served, dpop(here, token))
        here.clock.advance(NONCE_S)
        with_the_one_before = await place(served, dpop(here, token, nonce=placed.headers["dpop-nonce"]))

        assert with_the_one_before.status_code == 201
        assert with_the_one_before.headers["dpop-nonce"] != placed.headers["dpop-nonce"]
        async with served.client(None) as client:
            listed = await client.get("/v1/accounts", headers=dpop(here, token, "GET", "/v1/accounts"))
            assert listed.headers["dpop-nonce"] == with_the_one_before.headers["dpop-nonce"]
            plain = {"authorization": f"Bearer {await here.token()}"}
            assert "dpop-nonce" not in (await client.get("/v1/accounts", headers=plain)).headers


async def test_two_proofs_are_no_proof(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        proofs = [here.proof("GET", "/v1/accounts", token) for _ in range(2)]
        lines = "".join(f"DPoP: {proof}\r\n" for proof in proofs)
        request = f"GET /v1/accounts HTTP/1.1\r\nHost: gateway\r\nAuthorization: DPoP {token}\r\n{lines}\r\n"

        assert (await served.raw(request.encode())).startswith(b"HTTP/1.1 400 ")


async def test_a_token_is_asked_for_over_http_with_a_proof(books: Books) -> None:
    async with gateway(books) as (served, here), served.client(None) as client:
        asked: dict[str, Any] = {
            "data": {"grant_type": "client_credentials"},
            "auth": ("desk", here.secret.reveal()),
        }
        path = "/oauth/token"

        first = await client.post(path, **asked, headers={"dpop": here.proof("POST", path, nonce=None)})
        nonce = first.headers["dpop-nonce"]
        second = await client.post(path, **asked, headers={"dpop": here.proof("POST", path, nonce=nonce)})

        assert first.json()["error"] == "use_dpop_nonce"
        assert second.json()["token_type"] == "DPoP"


async def test_a_stream_is_opened_with_a_proof_for_its_own_path(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        good = dpop(here, token, "GET", "/v1/stream")
        async with connect(served.stream_url, additional_headers=good) as socket:
            assert json.loads(await Talk(socket).socket.recv())["authenticated"] is True

        for bad in (good, dpop(here, token, "GET", "/v1/orders"), {"authorization": f"Bearer {token}"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(served.stream_url, additional_headers=bad)
            assert refused.value.response.status_code == 401


async def test_a_bound_token_in_a_frame_needs_its_proof_too(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        proof = here.proof("GET", "/v1/stream", token)
        async with served.stream(None) as talk:
            await talk.send(type="authenticate", token=token, dpop=proof.replace(proof[-4:], "AAAA"))
            assert (await talk.closed())[0] == 4001
        async with served.stream(None) as talk:
            await talk.send(type="authenticate", token=token)
            assert (await talk.closed())[0] == 4001
        async with served.stream(None) as talk:
            stale = here.proof("GET", "/v1/stream", token, nonce="old")
            await talk.send(type="authenticate", token=token, dpop=stale)
            nonce = (await talk.until("error"))["dpop_nonce"]
            fresh = here.proof("GET", "/v1/stream", token, nonce=nonce)
            await talk.send(type="authenticate", token=token, dpop=fresh)
            await talk.until("authenticated")
            newer = await here.token(bound=True)
            refresh = here.proof("GET", "/v1/stream", newer)
            await talk.send(type="auth.refresh", id="r", token=newer, dpop=refresh)
            assert (await talk.until("authenticated"))["id"] == "r"


async def test_a_stream_ends_ten_seconds_after_its_token_unless_it_has_a_newer_one(books: Books) -> None:
    async with gateway(books) as (served, here):
        token = await here.token(bound=True)
        headers = [dpop(here, token, "GET", "/v1/stream") for _ in range(2)]
        async with (
            connect(served.stream_url, additional_headers=headers[0]) as one,
            connect(served.stream_url, additional_headers=headers[1]) as other,
        ):
            left, refreshed = Talk(one), Talk(other)
            here.clock.advance(900 + 9)
            newer = await here.token(bound=True)
            await refreshed.send(
                type="auth.refresh", token=newer, dpop=here.proof("GET", "/v1/stream", newer)
            )
            for talk in (left, refreshed):
                await talk.send(type="ping", id="p")
                await talk.until("pong")
            here.clock.advance(1)
            assert (await left.closed())[0] == 4001
            await refreshed.send(type="ping", id="q")
            await refreshed.until("pong", id="q")


class Authority:
    """A certificate authority for a test, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.root = folder / "root.pem"
        self.root.write_bytes(self._signed(self.name, self.key, is_root=True).public_bytes(_PEM))

    def signed(self, name: str) -> tuple[str, str, str]:
        """The files of a certificate and its key, and the certificate's thumbprint."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(subject, key)
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(made.public_bytes(_PEM))
        private.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return str(certificate), str(private), thumbprint(made.public_bytes(serialization.Encoding.DER))

    def _signed(self, subject: x509.Name, key: Any, *, is_root: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(loopback, critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())


_PEM = serialization.Encoding.PEM


async def test_a_token_that_is_bound_to_a_certificate_serves_only_over_its_connections(
    books: Books, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key, _ = authority.signed("server")
    mine_file, mine_key, mine = authority.signed("mine")
    theirs_file, theirs_key, _ = authority.signed("theirs")
    context = server_context(certificate, key, str(authority.root))

    def client_of(*own: str) -> ssl.SSLContext:
        trusting = ssl.create_default_context(cafile=str(authority.root))
        if own:
            trusting.load_cert_chain(*own)
        return trusting

    async with gateway(books, ssl_context_factory=lambda *_: context) as (served, here):
        base = served.base_url.replace("http:", "https:")
        with_mine, with_theirs, with_none = (
            httpx.AsyncClient(base_url=base, verify=client_of(*own), timeout=PATIENCE_S)
            for own in ((mine_file, mine_key), (theirs_file, theirs_key), ())
        )
        async with with_mine, with_theirs, with_none:
            granted = await with_mine.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=("desk", here.secret.reveal()),
            )
            token = granted.json()["access_token"]
            bearer = {"authorization": f"Bearer {token}"}
            seen = [
                (await client.get("/v1/accounts", headers=bearer)).status_code
                for client in (with_mine, with_theirs, with_none)
            ]
            claimed = {**bearer, "client-cert": ":AAAA:", "x-forwarded-client-cert": f"Hash={mine}"}
            assert (await with_none.get("/v1/accounts", headers=claimed)).status_code == 401
        stream = served.stream_url.replace("ws:", "wss:")
        async with connect(stream, ssl=client_of(mine_file, mine_key), additional_headers=bearer) as socket:
            assert json.loads(await socket.recv())["authenticated"] is True
        with pytest.raises(InvalidStatus):
            await connect(stream, ssl=client_of(theirs_file, theirs_key), additional_headers=bearer)

    assert granted.json()["token_type"] == "Bearer"
    assert seen == [200, 401, 401]
    principal = here.bearer.own(token)[0]
    assert principal.bound_to == f"x5t:{mine}"
