"""What Alpaca's documents mean in our words, and what our orders look like in theirs.

Pure and total: every word of the wire has a row, a contradiction is refused, and nothing is
guessed. What our terms cannot express (an order by value, a trailing stop, an order of several
legs) is named as such: an order that was placed here can be none of it, and one that was placed
elsewhere is told as near to what it is as our terms come, with what they leave out.
"""

from __future__ import annotations


class Contradiction(ValueError):
    """The document is well-formed and cannot be true."""


class Inexpressible(ValueError):
    """A real order that our terms have no words for."""
