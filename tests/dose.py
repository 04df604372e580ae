"""How much of a test to give: the usual amount, or more of the very same test.

`make test` gives the usual dose, `make test-long` the long one, and `make mutants`, which runs the same
tests thousands of times, a short one. A dose changes how many seeds,
examples or rounds a test goes through, never what it asserts.
"""

import os
from typing import Final

LONG: Final = os.environ.get("ORDERGATE_DOSE") == "long"
SHORT: Final = os.environ.get("ORDERGATE_DOSE") == "short"


def dose(usual: int, long: int, *, short: int | None = None) -> int:
    """The number of seeds, examples or rounds to go through in this run."""
    if SHORT and short is not None:
        return short
    return long if LONG else usual
