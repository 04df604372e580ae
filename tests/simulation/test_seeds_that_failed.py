"""Seeds that once broke an invariant, each for what it found."""

import pytest

from ordergate.simulation.plan import draw
from ordergate.simulation.town import run


@pytest.mark.parametrize(
    ("seed", "found"),
    [
        (251, "a stream passed over what another owner of the account had written"),
        (10550, "a cancel was asked for again that was decided and not yet durable"),
    ],
)
def test_a_seed_that_failed_is_clean(seed: int, found: str) -> None:
    assert run(draw(seed)).violations == (), found
