"""A login is as strong as its program wants it, or there is none (RFC 9470)."""

from __future__ import annotations

import json

import pytest

from tests.security.test_login import error_of
from tests.security.visitor import led_to, visitor
from tests.security.world import world


@pytest.mark.parametrize(
    ("asked", "two_factors", "status"),
    [
        ("urn:ordergate:two-factors", True, 200),
        ("urn:ordergate:two-factors", False, 303),
        ("urn:else urn:ordergate:two-factors", False, 303),
        ("urn:ordergate:two-factors urn:ordergate:password", False, 200),
        ("urn:ordergate:password", True, 200),
        (None, False, 200),
    ],
)
async def test_a_login_is_as_strong_as_was_asked_or_none(
    asked: str | None, two_factors: bool, status: int
) -> None:
    here = await world()
    alice = await visitor(here, two_factors=two_factors)
    pushed = json.loads((await alice.push(acr_values=asked, max_age="300")).body)
    page = await alice.open(pushed["request_uri"])

    answer = await alice.log_in()

    assert answer.status == status
    if status == 303:
        policy = page.headers["content-security-policy"]
        assert "form-action 'self' https://desk.example;" in policy, "a browser follows the redirect"
        assert led_to(answer)["error"] == "unmet_authentication_requirements"
        assert (await alice.log_in()).status == 400, "the visit is over"


async def test_a_strength_that_is_none_of_ours_is_refused_at_once() -> None:
    alice = await visitor(await world())

    unknown = await alice.push(acr_values="urn:else")
    endless = await alice.push(max_age="for ever")

    assert error_of(unknown) == (400, "unmet_authentication_requirements")
    assert error_of(endless) == (400, "invalid_request")
