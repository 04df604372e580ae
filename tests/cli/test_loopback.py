"""The browser comes back to one address with one state; whoever else knocks changes nothing."""

from __future__ import annotations

import httpx
import pytest

from ordergate.cli import loopback

STATE = "the-state-of-this-login"


def knock(url: str, query: str, **headers: str) -> int:
    return httpx.get(f"{url}?{query}", headers=headers, trust_env=False, timeout=10).status_code


def test_the_first_answer_with_the_state_is_taken() -> None:
    with loopback.listening(STATE) as back:
        assert knock(back.url, f"code=good&state={STATE}&iss=x") == 200
        assert knock(back.url, f"code=late&state={STATE}&iss=x") == 400

        assert back.wait(5) == {"code": "good", "state": STATE, "iss": "x"}
        assert back.wait(0) is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=forged",
        "code=forged&state=",
        "code=forged&state=another",
        f"code=forged&state={STATE}x",
        f"code=a&code=b&state={STATE}",
        f"state={STATE}&state={STATE}",
        f"code=%ff&state={STATE}",
        f"code={'x' * 5_000}&state={STATE}",
    ],
)
def test_an_answer_without_the_state_or_out_of_shape_is_none(query: str) -> None:
    with loopback.listening(STATE) as back:
        assert knock(back.url, query) == 400
        assert back.wait(0) is None


def test_no_other_name_path_or_method_leads_there() -> None:
    good = f"code=forged&state={STATE}"
    with loopback.listening(STATE) as back:
        assert knock(back.url, good, host="rebound.example") == 400
        assert knock(back.url.replace("/callback", "/"), good) == 400
        assert httpx.post(f"{back.url}?{good}", trust_env=False).status_code == 501
        assert back.wait(0) is None


def test_the_page_loads_nothing_and_is_kept_nowhere() -> None:
    with loopback.listening(STATE) as back:
        answer = httpx.get(f"{back.url}?code=good&state={STATE}", trust_env=False)

    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "good" not in answer.text
