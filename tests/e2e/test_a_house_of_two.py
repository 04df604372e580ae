"""A paper gateway that takes two persons: a program stops it, and no program lets it go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.floor import Floor, floor


async def asked(it: Floor, path: str, **body: Any) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {await it.token()}"}
    async with it.http.post(f"{it.base_url}{path}", headers=headers, json=body) as answer:
        return answer.status, (await answer.json()).get("code")


@pytest.mark.parametrize("two_persons", [True, False])
async def test_a_programs_token_is_a_fresh_login_in_a_house_of_one_alone(
    tmp_path: Path, *, two_persons: bool
) -> None:
    async with floor(tmp_path, gateway={"kill_switch": {"two_persons": two_persons}}) as it:
        assert await asked(it, "/v1/kill-switch", grade="block_new", reason="a test") == (200, None)
        released = await asked(it, "/v1/kill-switch/release", reason="a test")

    assert released == ((401, "step-up-required") if two_persons else (200, None))
