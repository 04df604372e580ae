"""The hooks of the settings, with their secrets read."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Final

from ordergate.core.hooks.hook import Hook, Passphrase, Signed
from ordergate.core.hooks.template import Template
from ordergate.core.webhook_signatures import secret_of
from ordergate.wiring.client_settings import HookSettings
from ordergate.wiring.secret_sources import SecretSource
from ordergate.wiring.settings import CannotStart, Settings

PASSPHRASE_CHARACTERS_MIN: Final = 24


def hooks(settings: Settings) -> dict[str, Hook]:
    """By name. Raises CannotStart."""
    return {name: _hook(settings, name, its) for name, its in settings.hooks.items()}


def _hook(settings: Settings, name: str, its: HookSettings) -> Hook:
    try:
        return Hook(
            name=name,
            account=its.account,
            tenant=settings.accounts[its.account].tenant or settings.tenant,
            proof=_proof(its),
            template=Template(its.order),
            networks=tuple(map(ip_network, its.networks)),
            window=timedelta(seconds=its.window_s),
        )
    except ValueError as error:
        raise CannotStart(f"hook {name}: {error}") from error


def _proof(its: HookSettings) -> Signed | Passphrase:
    if its.passphrase is None:
        return Signed(secrets=tuple(secret_of(source.read().reveal()) for source in its.signed))
    told = its.passphrase
    secrets = tuple(map(_passphrase, told.secrets))
    if not secrets:
        raise ValueError("give at least one secret")
    return Passphrase(field=told.field, time=told.time, id=told.id, secrets=secrets)


def _passphrase(source: SecretSource) -> bytes:
    said = source.read().reveal()
    if len(said) < PASSPHRASE_CHARACTERS_MIN:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")
    return said.encode()
