"""Every other secret, too, is replaced under 100 orders a second, and no order fails.

`bench/rotation.py` does all of them one after another on one ground, and keeps how long each took.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.drills import DRILLS
from tests.e2e.ground import ground
from tests.e2e.pacing import PACE

AROUND_S = 1.0


@pytest.mark.timeout(420)
@pytest.mark.parametrize("drill", [name for name in DRILLS if name != "broker_credentials"])
async def test_no_order_fails_while_a_secret_is_rotated(tmp_path: Path, drill: str) -> None:
    async with ground(tmp_path) as here:
        await PACE.sleep(AROUND_S)
        await DRILLS[drill](here)
        await PACE.sleep(AROUND_S)
    assert (here.load.logins > 0) == (drill == "signing_key_in_an_emergency"), "whose token ended"
    assert here.load.answers["201"] == len(set(here.load.orders)) == len(here.load.orders) > 0
