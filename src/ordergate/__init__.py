"""Ordergate: a secure execution gateway between trading applications and brokerages.

An order is never lost, never sent twice, never sent without risk's approval, never sent to the
wrong environment, and everything that happened can be proved afterwards. This module names the
version and nothing else; importing it starts nothing.
"""

from typing import Final

__version__: Final = "0.1.0"
