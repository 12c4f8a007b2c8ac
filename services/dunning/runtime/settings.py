"""Settings of a service, from the environment: `DUNNING_` and the name in capitals.

Everything that a deployment may want to turn is here with its unit last in its name; what is fixed by the contracts is
not. Secrets are masked wherever settings are shown.
"""

import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dunning.domain.rfc3339 import parse_rfc3339
from dunning.runtime.problem import SETTING_WRONG, Problem

S = TypeVar("S", bound=BaseSettings)


def _instant(given: object) -> datetime:
    """An RFC 3339 time, no plain number: pydantic takes `30` for 1970, and the first migration fixes it for good."""
    when = given if isinstance(given, datetime) else parse_rfc3339(str(given))
    if when is None:
        raise ValueError("write an RFC 3339 time with its offset, such as 2026-03-01T00:00:00Z")
    return when


def _postgresql(url: SecretStr) -> SecretStr:
    """Anything else would be waited for without end, as a database that is away is."""
    given = url.get_secret_value()
    if not given.startswith(("postgresql://", "postgres://")) or not _has_servers(given):
        raise ValueError("write the address of a database, such as postgresql://user:password@host:5432/dunning")
    return url


def _has_servers(url: str) -> bool:
    """Whether every port is one; no server at all is a socket file."""
    try:
        for server in servers_of(url):
            server.port  # noqa: B018 - raises where it is none
    except ValueError:  # or brackets do not match
        return False
    return True


def servers_of(url: str) -> list[SplitResult]:
    """Each server that a URL names, several where commas part them. Raises ValueError where brackets do not match; a
    port that is none raises when it is looked at."""
    return [urlsplit(f"//{server}") for server in _servers(urlsplit(url)).split(",")]


def _servers(parts: SplitResult) -> str:
    """`host:port` of a URL, several where commas part them, without the credentials."""
    return parts.netloc.rpartition("@")[2]


class Settings(BaseSettings):
    """What is in force for one process; services add their own in a subclass."""

    model_config = SettingsConfigDict(env_prefix="DUNNING_", frozen=True, extra="ignore", env_ignore_empty=True)

    kafka_bootstrap_servers: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_tls_ca_file: Path | None = None
    kafka_tls_cert_file: Path | None = None
    kafka_tls_key_file: Path | None = None
    kafka_tls_check_hostname: bool = True
    kafka_request_timeout_seconds: float = Field(30, gt=0)
    kafka_session_timeout_seconds: float = Field(10, ge=6)
    kafka_metadata_max_age_seconds: float = Field(30, gt=0)
    kafka_transaction_timeout_seconds: float = Field(15, gt=1)
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    topic_replication_factor: int = Field(1, ge=1)

    database_url: Annotated[SecretStr, AfterValidator(_postgresql)]
    database_tls_ca_file: Path | None = None
    database_connections: int = Field(8, ge=4)
    database_statement_timeout_seconds: float = Field(30, gt=0)

    test_mode: bool = False  # events with `livemode: false` act (rule 4)
    # Fixed by the first migration; before it no failure opens a case (rule 43).
    start: Annotated[AwareDatetime, BeforeValidator(_instant)] | None = None
    mode: Literal["act", "observe", "stop"] = "act"  # at the first start; `dunning mode` switches it (rule 42)

    policy_dir: Path | None = None
    template_dir: Path | None = None  # own templates, laid over the shipped ones; for all services: policies name them
    smtp_url: SecretStr | None = None

    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(0, ge=0, le=65535)
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    instance_id: str = Field(default_factory=lambda: socket.gethostname().split(".", 1)[0], pattern=r"^[\w.-]{1,200}$")

    lanes: int = Field(2, ge=1, le=16)
    batch_records: int = Field(1000, ge=1, le=10_000)
    timer_batch_accounts: int = Field(500, ge=1, le=5_000)
    timer_poll_seconds: float = Field(0.1, gt=0)
    read_through_seconds: float = Field(0.1, gt=0)
    horizon_age_seconds_max: float = Field(15, gt=0)
    unread_alarm_seconds: float = Field(30, gt=0)
    clock_skew_seconds_max: float = Field(5, gt=0)
    outbox_batch_rows: int = Field(2000, ge=1, le=10_000)
    outbox_poll_seconds: float = Field(0.05, gt=0)
    outbox_rows_max: int = Field(500_000, ge=1)  # about half a gigabyte
    errand_lease_seconds: float = Field(360, ge=1)
    errand_concurrency: int = Field(16, ge=1)
    errand_tries_max: int = Field(10, ge=1)  # refusals by the other side; one that is away is waited for
    errand_pause_seconds: float = Field(5, gt=0)
    errand_pause_seconds_max: float = Field(900, gt=0)
    errand_poll_seconds: float = Field(0.1, gt=0)
    first_sightings_kept_days: float = Field(30, gt=0)  # longer than Kafka keeps the topics (rule 9)
    closed_cases_kept_days: float = Field(400, gt=0)  # of invoices that had a case: returned debits come that late
    closed_invoices_kept_days: float = Field(35, gt=0)  # of others
    forget_batch_cases: int = Field(200, ge=1, le=5_000)
    forget_pause_seconds: float = Field(1, gt=0)
    replay_poll_seconds: float = Field(1, gt=0)
    start_timeout_seconds: float = Field(60, gt=0)
    stop_timeout_seconds: float = Field(10, gt=0)

    @model_validator(mode="after")
    def _credentials_are_complete(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("kafka_security_protocol with SASL needs kafka_sasl_username and kafka_sasl_password")
        if (self.kafka_tls_cert_file is None) != (self.kafka_tls_key_file is None):
            raise ValueError("kafka_tls_cert_file and kafka_tls_key_file come together")
        return self

    def database_place(self) -> str:
        """`host:port/database`, for messages: nothing of it is secret."""
        parts = urlsplit(self.database_url.get_secret_value())
        return f"{_servers(parts)}{parts.path}"

    def kafka_connection(self) -> dict[str, Any]:
        """What every Kafka client of this process is given: where to connect, and how."""
        secret = self.kafka_sasl_password
        return {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self._kafka_tls(),
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": secret.get_secret_value() if secret else None,
            "request_timeout_ms": int(self.kafka_request_timeout_seconds * 1000),
            "metadata_max_age_ms": int(self.kafka_metadata_max_age_seconds * 1000),
        }

    def _kafka_tls(self) -> ssl.SSLContext | None:
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.kafka_tls_ca_file)
            if self.kafka_tls_cert_file is not None:
                context.load_cert_chain(self.kafka_tls_cert_file, self.kafka_tls_key_file)
        except OSError as error:
            raise Problem(SETTING_WRONG, f"the TLS files of DUNNING_KAFKA_TLS_* cannot be used: {error}") from error
        context.check_hostname = self.kafka_tls_check_hostname
        return context

    def database_tls(self) -> ssl.SSLContext | None:
        """Trust in an own authority; without one the URL says what is wanted (`?sslmode=verify-full`)."""
        if self.database_tls_ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.database_tls_ca_file)
        except OSError as error:
            raise Problem(SETTING_WRONG, f"DUNNING_DATABASE_TLS_CA_FILE cannot be used: {error}") from error


def load_settings(kind: type[S], **given: Any) -> S:
    """The settings in force; a missing or wrong one is a `Problem` that names its environment variable."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise Problem(SETTING_WRONG, "; ".join(_said(found) for found in error.errors())) from None


def shown(settings: Settings) -> str:
    """What `--print-settings` prints: one `NAME=value` a line, what is secret masked, what is not set empty."""
    values = {name: getattr(settings, name) for name in sorted(type(settings).model_fields)}
    return "\n".join(f"DUNNING_{name.upper()}={_masked(value)}" for name, value in values.items())


def _said(found: Any) -> str:
    """One wrong setting in words; the value itself is left out, for it may be a secret."""
    if not found["loc"]:
        return str(found["msg"]).removeprefix("Value error, ")
    name = f"DUNNING_{str(found['loc'][0]).removeprefix('DUNNING_').upper()}"
    if found["type"] == "missing":
        return f"{name} is not set"
    ours = found["type"] == "value_error"  # in words that stay as they are
    return f"{name}: {found['ctx']['error'] if ours else found['msg'].lower()}"


def _masked(value: Any) -> str:
    """A secret that is a URL keeps what is no secret: one wants to see which database it is."""
    if not isinstance(value, SecretStr):
        return "" if value is None else str(value)
    parts = urlsplit(value.get_secret_value())
    if not parts.scheme or not parts.hostname:
        return str(value)
    user = f"{parts.username}:***@" if parts.password else f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{_servers(parts)}{parts.path}"
