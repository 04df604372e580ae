"""What a gateway is started with, read strictly from one file.

A field that is misspelt, missing or of the wrong kind is a sentence that names it. Secrets are
never in the file itself: it says which environment variable or which file holds each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import yaml

from ordergate.api.deps import OpenPage
from ordergate.core.access import Scope
from ordergate.core.hooks.hook import NAME
from ordergate.core.ids import AccountId, Env, Symbol, is_account_id
from ordergate.core.instruments import Instrument, names_of
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.security.profile import FOREIGN_S_MAX, check_url, is_loopback
from ordergate.security.sealing.ciphers import Cipher
from ordergate.telemetry.log import Level
from ordergate.wiring.client_settings import HookSettings, QuotaSettings, StreamSettings
from ordergate.wiring.pins import PinSettings
from ordergate.wiring.secret_sources import CannotStart as CannotStart  # noqa: PLC0414  # said by settings
from ordergate.wiring.secret_sources import SecretSource as SecretSource  # noqa: PLC0414  # part of settings

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]

LOOPBACK: Final = "127.0.0.1"
CONTROL_STREAMS: Final = frozenset({"ACCESS", "AUDIT", "CONTROL", "LIMITS"})


class PriceFeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    feed: str
    symbols: tuple[Symbol, ...]


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The application that a broker has registered for us, by which users let the gateway in.

    `redirect_uri` is on loopback: `ordergate credentials link` listens there while a user decides.
    """

    base_url: str
    client_id: str
    client_secret: SecretSource
    redirect_uri: str
    scope: str = "trading"

    def __post_init__(self) -> None:
        check_url(self.base_url)
        check_url(self.redirect_uri)
        if not is_loopback(self.redirect_uri):
            raise ValueError("`redirect_uri` must be on the loopback interface")


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One login at a broker of the kind `alpaca`.

    Without `key` and `secret` its credentials are sealed in the database (`ordergate credentials`). Without
    `url` it is Alpaca's own host of the environment. The two claims stay false until they are proven against
    that host (`brokers/alpaca` says why).
    """

    key: SecretSource | None = None
    secret: SecretSource | None = None
    kind: str = "alpaca"
    url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    requests_per_minute: int = 200
    resend_is_safe: bool = False
    replace_keeps_fills: bool = False
    prices: tuple[PriceFeed, ...] = ()
    oauth: OAuthSettings | None = None
    pins: PinSettings | None = None

    def __post_init__(self) -> None:
        if (self.key is None) != (self.secret is None):
            raise ValueError("a broker has both `key` and `secret`, or neither where they are stored")
        urls = (self.url, None if self.oauth is None else self.oauth.base_url)
        if self.pins is not None and any(url and urlsplit(url).scheme != "https" for url in urls):
            raise ValueError("`pins` are of certificates: give https in `url` and `base_url`, or remove them")

    @property
    def stored(self) -> bool:
        """Whether its credentials are sealed in the database."""
        return self.key is None

    @property
    def reloads(self) -> bool:
        """Whether what the settings point at may be replaced while the gateway runs."""
        return any(source is not None and source.reloads for source in (self.key, self.secret))


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
    tenant_claim: str | None = None
    accounts_claim: str = "acct"
    roles_claim: str | None = None
    roles: dict[str, frozenset[Scope]] = {}
    strong_acr: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset({"ES256", "EdDSA", "PS256"})
    token_types: frozenset[str] = frozenset({"at+jwt"})
    lifetime_s_max: int = FOREIGN_S_MAX


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS that ends in the gateway: needed where clients bind their tokens to certificates.

    `client_authorities` are whose certificates clients may prove, in one file of PEM.
    """

    certificate: Path
    key: Path
    client_authorities: Path | None = None


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
    """`two_persons` may only be false in paper, where one person runs everything, by programs too.

    `shared_database_url` is of the database by which several gateways of an environment stop together.
    """

    two_persons: bool = True
    shared_database_url: SecretSource | None = None


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
    messages_kept_days: Annotated[int, msgspec.Meta(ge=1)] = 30
    dead_letters_kept_days: Annotated[int, msgspec.Meta(ge=30)] = 365


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of what happens, by signed webhooks: of all accounts where none are named.

    Every message is signed with each of the `secrets`, so that one can be replaced without a gap.
    """

    name: str
    url: str
    secrets: tuple[SecretSource, ...]
    streams: tuple[Literal["alerts", "drop_copy"], ...] = ("alerts",)
    accounts: tuple[AccountId, ...] = ()


class DeclarationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed file that says which environment this is, and the public half of the key that signed it."""

    file: Path
    key: str


class _Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Which key service it is, and by which cipher secrets are sealed under its keys."""

    cipher: Cipher = Cipher.AES_256_GCM


class FileKeys(_Kind, frozen=True, tag="file"):
    """Keys in files of the data folder; refused in live."""


class AwsKeys(_Kind, frozen=True, kw_only=True, tag="aws-kms"):
    """Keys in AWS KMS, under aliases that begin with `prefix` and the environment."""

    region: str
    prefix: str = "ordergate"
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            check_url(self.endpoint_url)


class HsmKeys(_Kind, frozen=True, kw_only=True, tag="pkcs11"):
    """Keys in a hardware module: its library, the token in it, and the token's PIN."""

    module: Path
    token: str
    pin: SecretSource


KeySettings = FileKeys | AwsKeys | HsmKeys


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gateway. `environment` has no default; without `database_url` PostgreSQL is embedded."""

    environment: Env
    data_dir: Path
    host: str = LOOPBACK
    port: Port = 8700
    public_url: str | None = None
    admin_host: str = LOOPBACK
    admin_port: Port | None = None
    admin_public_url: str | None = None
    shown: tuple[OpenPage, ...] | None = None
    database_url: SecretSource | None = None
    tenant: str = "default"
    instruments: tuple[Instrument, ...]
    brokers: dict[str, BrokerSettings]
    accounts: dict[AccountId, AccountSettings]
    issuers: tuple[IssuerFile, ...] = ()
    authorization_server: bool = True
    breached_passwords: Path | None = None
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    quotas: QuotaSettings = QuotaSettings()
    streams: StreamSettings = StreamSettings()
    tls: TlsSettings | None = None
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    kill_switch: KillSwitchSettings = KillSwitchSettings()
    snapshot_events: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    trips: TripSettings = TripSettings()
    audit: AuditSettings = AuditSettings()
    surveillance: tuple[EndpointSettings, ...] = ()
    hooks: dict[str, HookSettings] = {}
    keys: KeySettings = FileKeys()
    declaration: DeclarationSettings | None = None
    log_level: Level = "info"

    def __post_init__(self) -> None:
        names_of(self.instruments)
        if self.admin_public_url is not None:
            check_url(self.admin_public_url)
        if self.admin_port is not None and self.admin_port == self.port:
            raise ValueError("`admin_port` must be another port than `port`")
        if self.environment is Env.LIVE and not self.kill_switch.two_persons:
            raise ValueError("in live the kill switch takes two persons: remove `two_persons`")
        for issuer in self.issuers:
            if self.environment is Env.LIVE and issuer.lifetime_s_max > FOREIGN_S_MAX:
                words = f"in live tokens live {FOREIGN_S_MAX} s at most: lower `lifetime_s_max`"
                raise ValueError(f"issuer {issuer.name}: {words}")
        self.trips.policy(self.environment)
        for network in self.trusted_proxies:
            ip_network(network)
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
        for name, hook in self.hooks.items():
            if re.fullmatch(NAME, name) is None:
                raise ValueError(f"hook {name!r} must be 1 to 32 small letters, digits and dashes")
            if hook.account not in self.accounts:
                raise ValueError(f"hook {name} names the account {hook.account}, which is not given")
            if (why := hook.unfit(self.environment)) is not None:
                raise ValueError(f"hook {name}: {why}")

    @property
    def base_url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return self.public_url or f"{scheme}://{self.host}:{self.port}"

    @property
    def admin_url(self) -> str | None:
        """What the administration's listener is called by; None where there is none."""
        if self.admin_port is None:
            return None
        scheme = "http" if self.tls is None else "https"
        return (self.admin_public_url or f"{scheme}://{self.admin_host}:{self.admin_port}").rstrip("/")

    @property
    def pages(self) -> frozenset[OpenPage]:
        """What anybody sees at the gateway's own address: as said, or what has no better place."""
        if self.shown is not None:
            return frozenset(self.shown)
        documentation = {OpenPage.DOCUMENTATION} if self.environment is Env.PAPER else set()
        return frozenset(documentation | ({OpenPage.METRICS} if self.admin_port is None else set()))

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
            limits = account.parsed_limits()
        except ValueError as error:
            raise CannotStart(f"{where}: account {name}: {error}") from error
        if limits is not None and limits.enabled_until is not None and settings.environment is Env.LIVE:
            why = "in live two persons enable an account, and no file does: remove `enabled_until`"
            raise CannotStart(f"{where}: account {name}: {why}")
    return settings
