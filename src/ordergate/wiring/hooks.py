"""The hooks of the settings, with their secrets of now: files are read again while the gateway runs.

A secret may have an end: a second line that says `until` and a moment, as a rotation writes it for the one
before. A file that cannot be read lets nobody in; what AWS does not tell for a while stays what it was.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Final

import msgspec

from ordergate.core.hooks.hook import Hook, Passphrase, Signed
from ordergate.core.hooks.template import Template
from ordergate.core.webhook_signatures import secret_of
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger
from ordergate.wiring.client_settings import HookSettings
from ordergate.wiring.secret_sources import SecretSource
from ordergate.wiring.settings import CannotStart, Settings

PASSPHRASE_CHARACTERS_MIN: Final = 24
LOOK_S: Final = 1.0
ASK_AWS_LOOKS: Final = 60
UNTIL: Final = "until "

log = logger("credentials")


class Kept(msgspec.Struct, frozen=True):
    """A secret that is accepted until a moment, or for as long as it is there."""

    secret: bytes
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"Kept(until={self.until})"


class Hooks:
    """One per gateway. `get` does not wait; `run` reads what may have been replaced."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises CannotStart."""
        self._clock = clock
        self._settings = settings.hooks
        self._hooks = {name: _hook(settings, name, its) for name, its in settings.hooks.items()}
        self._kept = {name: _first(name, its) for name, its in settings.hooks.items()}
        self._looks = 0

    def get(self, name: str, /) -> Hook | None:
        hook = self._hooks.get(name)
        if hook is None:
            return None
        now = self._clock.now()
        kept = (one for one in self._kept[name].values() if one.until is None or now < one.until)
        secrets = tuple(one.secret for one in kept)
        return msgspec.structs.replace(hook, proof=msgspec.structs.replace(hook.proof, secrets=secrets))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        self._looks += 1
        ask_aws = self._looks % ASK_AWS_LOOKS == 0
        found = await asyncio.to_thread(self._read_again, ask_aws=ask_aws)
        for name, kept in found.items():
            if kept != self._kept[name]:
                self._kept[name] = kept
                log.info("hook.secrets_replaced", hook=name, accepted=len(kept))

    def _read_again(self, *, ask_aws: bool) -> dict[str, dict[int, Kept]]:
        return {name: self._of(name, its, ask_aws=ask_aws) for name, its in self._settings.items()}

    def _of(self, name: str, its: HookSettings, *, ask_aws: bool) -> dict[int, Kept]:
        kept = dict(self._kept[name])
        for number, source in enumerate(its.secrets):
            if source.file is None and not (source.aws is not None and ask_aws):
                continue
            try:
                kept[number] = _kept(its, source)
            except (CannotStart, ValueError) as fault:
                if source.file is not None and kept.pop(number, None) is not None:
                    log.warning("hook.secret_unreadable", hook=name, why=str(fault))
        return kept


def _hook(settings: Settings, name: str, its: HookSettings) -> Hook:
    told = its.passphrase
    proof: Signed | Passphrase = Signed(secrets=())
    if told is not None:
        proof = Passphrase(field=told.field, time=told.time, id=told.id, secrets=())
    try:
        return Hook(
            name=name,
            account=its.account,
            tenant=settings.accounts[its.account].tenant or settings.tenant,
            proof=proof,
            template=Template(its.order),
            owner=its.owner,
            networks=tuple(map(ip_network, its.networks)),
            window=timedelta(seconds=its.window_s),
        )
    except ValueError as error:
        raise CannotStart(f"hook {name}: {error}") from error


def _first(name: str, its: HookSettings) -> dict[int, Kept]:
    """By their places in the settings. A file for the one before may be missing until the first rotation."""
    found = {}
    if not its.secrets:
        raise CannotStart(f"hook {name}: give at least one secret")
    for number, source in enumerate(its.secrets):
        if number and source.file is not None and not source.file.exists():
            continue
        try:
            found[number] = _kept(its, source)
        except ValueError as error:
            raise CannotStart(f"hook {name}: {error}") from error
    return found


def _kept(its: HookSettings, source: SecretSource) -> Kept:
    """Raises CannotStart and ValueError."""
    said, _, rest = source.read().reveal().partition("\n")
    form = secret_of if its.passphrase is None else _passphrase
    return Kept(form(said.strip()), _until(rest.strip()) if rest else None)


def _until(line: str) -> datetime:
    """Raises ValueError, which never has what stands there."""
    until = None
    with suppress(ValueError):
        until = datetime.fromisoformat(line.removeprefix(UNTIL))
    if until is None or until.tzinfo is None or not line.startswith(UNTIL):
        raise ValueError(f"after a secret comes nothing, or a line `{UNTIL}` with a moment and its zone")
    return until


def ending(secret: str, until: datetime) -> str:
    """A secret as it lies in a file once its end is known."""
    return f"{secret}\n{UNTIL}{until.isoformat(timespec='seconds')}\n"


def _passphrase(said: str) -> bytes:
    if len(said) < PASSPHRASE_CHARACTERS_MIN:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")
    return said.encode()
