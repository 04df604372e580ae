"""What the settings say of whose certificates a broker may show, read once at the start."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from ordergate.brokers._shared import trust
from ordergate.wiring.secret_sources import CannotStart


class PinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of all hosts of one login. Each connection must pass both, where both are given.

    `authorities` is a file of PEM whose certificates alone vouch for the hosts. `keys` are base64 of SHA-256
    of the public keys of which one has to be in the chain; several, so that one can be replaced in time.
    """

    authorities: Path | None = None
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.authorities is None and not self.keys:
            raise ValueError("`pins` without `authorities` and without `keys` pin nothing: remove them")
        for key in self.keys:
            trust.pin_of(key)


def context_of(pins: PinSettings | None) -> ssl.SSLContext | None:
    """None where whatever the machine trusts is good enough. Raises CannotStart."""
    if pins is None:
        return None
    try:
        return trust.context(
            authorities=pins.authorities, pins=frozenset(trust.pin_of(key) for key in pins.keys)
        )
    except ssl.SSLError as error:
        raise CannotStart(f"`pins`: {pins.authorities} has no certificate in PEM that can be read") from error
    except OSError as error:
        raise CannotStart(f"`pins`: cannot read {pins.authorities}: {error.strerror}") from error
