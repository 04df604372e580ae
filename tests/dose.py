"""How much of a test to give: the usual amount, or more of the very same test.

`make test` gives the usual dose and `make test-long` the long one. A dose changes how many seeds,
examples or rounds a test goes through, never what it asserts.
"""

import os
from typing import Final

LONG: Final = os.environ.get("ORDERGATE_DOSE") == "long"


def dose(usual: int, long: int) -> int:
    """The number of seeds, examples or rounds to go through in this run."""
    return long if LONG else usual
