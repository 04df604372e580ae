"""One house for most of these tests; those that break something have one of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.asking import Desk
from tests.cli.engine_house import EngineHouse, engine_house
from tests.fixtures.house import House


@pytest.fixture(scope="session")
def desk(shared_house: House) -> Desk:
    return Desk(shared_house)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[EngineHouse]:
    async with engine_house(tmp_path) as house:
        yield house
