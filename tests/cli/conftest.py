"""One house for most of these tests; those that break something have one of their own."""

import pytest

from tests.cli.asking import Desk
from tests.fixtures.house import House


@pytest.fixture(scope="session")
def desk(shared_house: House) -> Desk:
    return Desk(shared_house)
