"""What a gateway is started with, read strictly from one file.

A field that is misspelt, missing or of the wrong kind is a sentence that names it. Secrets are
never in the file itself: it says which environment variable or which file holds each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml

from ordergate.core.ids import AccountId, Env, Symbol, is_account_id
from ordergate.core.instruments import Instrument, names_of
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.engine.trips import TripPolicy
from ordergate.telemetry.secret import Secret

LOOPBACK: Final = "127.0.0.1"
CONTROL_STREAMS: Final = frozenset({"ACCESS", "AUDIT", "CONTROL", "LIMITS"})


class CannotStart(Exception):
    """What is in the way, in one sentence that says what to do."""


class SecretSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret is: exactly one of the two."""

    environment: str | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        if (self.environment is None) == (self.file is None):
            raise ValueError("a secret has either `environment` or `file`")

    def read(self) -> Secret:
        if self.environment is not None:
            value = os.environ.get(self.environment, "")
            if not value:
                raise CannotStart(f"set the environment variable {self.environment}")
            return Secret(value)
        assert self.file is not None
        try:
            return Secret(self.file.read_text(encoding="utf-8").strip())
        except OSError as error:
            raise CannotStart(f"cannot read the secret in {self.file}: {error.strerror}") from error


class PriceFeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    feed: str
    symbols: tuple[Symbol, ...]


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One login at a broker of the kind `alpaca`.

    Without `url` it is Alpaca's own host of the environment. The two claims stay false until
    they are proven against that host (`brokers/alpaca` says why).
    """

    key: SecretSource
    secret: SecretSource
    kind: str = "alpaca"
    url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    requests_per_minute: int = 200
    resend_is_safe: bool = False
    replace_keeps_fills: bool = False
    prices: tuple[PriceFeed, ...] = ()


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limits` is read by `core.risk.limits`; they are an account's first, and later its changed, limits.

    A session that is logged in to another account than `broker_account` is not opened. Without a
    `tenant` it is the gateway's.
    """

    broker: str
    broker_account: str | None = None
    tenant: str | None = None
    limits: dict[str, Any] | None = None
    owner: str | None = None
    groups: tuple[str, ...] = ()
    desk: str = ""

    def parsed_limits(self) -> Limits | None:
        return None if self.limits is None else limits_of(self.limits)


class IssuerFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An external OIDC issuer whose tokens are accepted too."""

    name: str
    issuer: str
    audience: str
    tenant: str = "default"
    algorithms: tuple[str, ...] = ("ES256", "EdDSA", "PS256")


class ReconciliationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds; `engine.rhythm.Rhythm` says what each means."""

    interval_s: float = 60.0
    suspicion_s: float = 1.0
    unanswered_s_min: float = 2.0
    unshown_s: float = 5.0
    untold_s: float = 10.0
    look_again_s: float = 5.0
    settle_s: float = 30.0
    resend_s_max: float = 60.0


class KillSwitchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`two_persons` may only be false in paper, where one person runs everything."""

    two_persons: bool = True


class TripSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the gateway stops by itself; `engine.trips.TripPolicy` says what each means. 0 turns one off.

    What an unknown clock means is `clock_unknown`: `warn` or `stop`; by default it stops in live.
    """

    errors: int = 100
    errors_window_s: float = 60.0
    errors_pause_s: float = 30.0
    errors_probation_s: float = 60.0
    executions: int = 1_000
    executions_window_s: float = 60.0
    stale_prices_s: float = 120.0
    stale_stream_s: float = 60.0
    clock_every_s: float = 10.0
    clock_warn_ms: float = 20.0
    clock_stop_ms: float = 50.0
    clock_unknown: Literal["warn", "stop"] | None = None
    nodes_every_s: float = 5.0

    def policy(self, env: Env) -> TripPolicy:
        plain = {
            name: value for name, value in msgspec.structs.asdict(self).items() if name != "clock_unknown"
        }
        live = env is Env.LIVE
        unknown_stops = live if self.clock_unknown is None else self.clock_unknown == "stop"
        return TripPolicy(**plain, clock_stops=live or unknown_stops, clock_unknown_stops=unknown_stops)


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`origin` names the log in its checkpoints; `folder` is where they are published.

    A folder on another disk, or of another account, is what a change of the database is measured by.
    `firm` (an LEI) and `capacity` are for the records that regulators ask for.
    """

    origin: str | None = None
    folder: Path | None = None
    every_s: float = 5.0
    records: int = 1_000
    firm: str | None = None
    capacity: Literal["DEAL", "MTCH", "AOTC"] | None = None
    messages_kept_days: int = 30


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of what happens, by signed webhooks: of all accounts where none are named.

    Every message is signed with each of the `secrets`, so that one can be replaced without a gap.
    """

    name: str
    url: str
    secrets: tuple[SecretSource, ...]
    streams: tuple[Literal["alerts", "drop_copy"], ...] = ("alerts",)
    accounts: tuple[AccountId, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gateway. `environment` has no default; without `database_url` PostgreSQL is embedded."""

    environment: Env
    data_dir: Path
    host: str = LOOPBACK
    port: int = 8700
    public_url: str | None = None
    database_url: SecretSource | None = None
    tenant: str = "default"
    instruments: tuple[Instrument, ...]
    brokers: dict[str, BrokerSettings]
    accounts: dict[AccountId, AccountSettings]
    issuers: tuple[IssuerFile, ...] = ()
    origins: tuple[str, ...] = ()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    kill_switch: KillSwitchSettings = KillSwitchSettings()
    snapshot_events: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    trips: TripSettings = TripSettings()
    audit: AuditSettings = AuditSettings()
    surveillance: tuple[EndpointSettings, ...] = ()
    log_level: str = "info"

    def __post_init__(self) -> None:
        names_of(self.instruments)
        if self.environment is Env.LIVE and not self.kill_switch.two_persons:
            raise ValueError("in live the kill switch takes two persons: remove `two_persons`")
        self.trips.policy(self.environment)
        if len({one.name for one in self.surveillance}) != len(self.surveillance):
            raise ValueError("two endpoints of `surveillance` have one name")
        for account, its in self.accounts.items():
            if not is_account_id(self.environment, account):
                letter = self.environment.letter
                raise ValueError(f"account {account!r} must be {letter}- and 1 to 24 letters or digits")
            if account[2:] in CONTROL_STREAMS:
                raise ValueError(f"account {account!r} is the name of a control stream: call it otherwise")
            if its.broker not in self.brokers:
                raise ValueError(f"account {account} names the broker {its.broker!r}, which is not given")

    @property
    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def log_origin(self) -> str:
        """What the log of this gateway's records is called."""
        return self.audit.origin or f"ordergate.local/{self.tenant}/{self.environment}"

    @property
    def symbols(self) -> Mapping[Symbol, Instrument]:
        return {instrument.symbol: instrument for instrument in self.instruments}


def path_of(kind: type, value: object) -> Path:
    """A path in a file is text; msgspec asks here for every type it does not know."""
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"expected a path, was {value!r}")
    return Path(value)


def load(path: Path) -> Settings:
    """The settings in a file. Raises CannotStart with a sentence."""
    return parse(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """What a file of settings says, as plain data. Raises CannotStart with a sentence."""
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise CannotStart(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def parse(plain: object, where: str) -> Settings:
    """The same from plain data; `where` names it in the sentence."""
    try:
        settings = msgspec.convert(plain, Settings, strict=False, dec_hook=path_of)
    except (msgspec.ValidationError, ValueError) as error:
        raise CannotStart(f"{where}: {error}") from error
    for name, account in settings.accounts.items():
        try:
            account.parsed_limits()
        except ValueError as error:
            raise CannotStart(f"{where}: account {name}: {error}") from error
    return settings
