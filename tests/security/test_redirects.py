"""Where a program of this machine may be answered: at its own path of a loopback address, at any port."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.security.test_login import error_of
from tests.security.visitor import BACK, visitor
from tests.security.world import world

LOOPBACK: Final = "http://127.0.0.1/callback"
LOOPBACK_6: Final = "http://[::1]/callback"

OF_THIS_MACHINE = [
    "http://127.0.0.1/callback",
    "http://127.0.0.1:1/callback",
    "http://127.0.0.1:49152/callback",
    "http://127.0.0.1:65535/callback",
    "http://[::1]:49152/callback",
]

NOT_OF_THIS_MACHINE = [
    "https://127.0.0.1:49152/callback",
    "http://127.0.0.1:49152/",
    "http://127.0.0.1:49152",
    "http://127.0.0.1:49152/callback/",
    "http://127.0.0.1:49152/Callback",
    "http://127.0.0.1:49152/callback/../evil",
    "http://127.0.0.1:49152/%63allback",
    "http://127.0.0.1:49152//callback",
    "http://127.0.0.1:49152/callback?x=1",
    "http://127.0.0.1:49152/callback#x",
    "http://127.0.0.1:49152\\/callback",
    "http://127.0.0.1:/callback",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:080/callback",
    "http://127.0.0.1:65536/callback",
    "http://127.0.0.1:-1/callback",
    "http://127.0.0.1:49152 /callback",
    "http://127.0.0.1:\u0664\u0669/callback",
    "http://127.0.0.1:49152:49152/callback",
    "http://127.0.0.2:49152/callback",
    "http://127.1:49152/callback",
    "http://127.0.0.1.:49152/callback",
    "http://0.0.0.0:49152/callback",
    "http://2130706433:49152/callback",
    "http://0x7f.0.0.1:49152/callback",
    "http://localhost:49152/callback",
    "http://LOCALHOST/callback",
    "http://127.0.0.1.evil.example:49152/callback",
    "http://evil.example:49152/callback",
    "http://user@127.0.0.1:49152/callback",
    "http://user:@127.0.0.1:49152/callback",
    "http://127.0.0.1:49152@evil.example/callback",
    "http://127.0.0.1@evil.example:49152/callback",
    "http://[::1]:49152/other",
    "http://[::]:49152/callback",
    "http://[::2]:49152/callback",
    "http://[0:0:0:0:0:0:0:1]:49152/callback",
    "http://[::ffff:127.0.0.1]:49152/callback",
    "http://::1:49152/callback",
    "HTTP://127.0.0.1:49152/callback",
    "//127.0.0.1:49152/callback",
    "ordergate://127.0.0.1:49152/callback",
]


@pytest.mark.parametrize("uri", OF_THIS_MACHINE)
async def test_a_program_that_people_run_is_answered_at_whatever_port_is_free(uri: str) -> None:
    here = await world()
    alice = await visitor(here, redirect_uris=(LOOPBACK, LOOPBACK_6))

    pushed = json.loads((await alice.push(redirect_uri=uri)).body)
    await alice.open(pushed["request_uri"])
    assert (await alice.log_in()).status == 200
    answer = await alice.decide()

    assert answer.headers["location"].startswith(f"{uri}?")
    code = answer.headers["location"].partition("code=")[2].partition("&")[0]
    elsewhere = await alice.redeem(code, redirect_uri="http://127.0.0.1:50000/callback")
    assert error_of(elsewhere) == (400, "invalid_grant"), "the code is for the very port"
    assert (await alice.redeem(code, redirect_uri=uri)).status == 200


@pytest.mark.parametrize("uri", NOT_OF_THIS_MACHINE)
async def test_any_port_means_nothing_but_the_port(uri: str) -> None:
    alice = await visitor(await world(), redirect_uris=(LOOPBACK, LOOPBACK_6))

    assert error_of(await alice.push(redirect_uri=uri)) == (400, "invalid_request")


@pytest.mark.parametrize("registered", [BACK, "http://localhost/callback", "http://localhost:8700/callback"])
async def test_no_other_redirect_is_answered_at_another_port(registered: str) -> None:
    alice = await visitor(await world(), redirect_uris=(registered,))
    parts = urlsplit(registered)

    moved = parts._replace(netloc=f"{parts.hostname}:49152").geturl()

    assert error_of(await alice.push(redirect_uri=moved)) == (400, "invalid_request")
    assert (await alice.push(redirect_uri=registered)).status == 201
