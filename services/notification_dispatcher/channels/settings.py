"""Settings of the email channel, from the environment with the prefix `DUNNING_`."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from notification_dispatcher.channels.addresses import Address, AddressError
from notification_dispatcher.templates.rendering import safe_link

_EXAMPLE = "write for example smtp://user:password@mail.example.com:587?starttls=always or smtps://mail.example.com"


class StartTls(StrEnum):
    """What to do about STARTTLS on a connection that begins in clear."""

    AUTO = "auto"  # where offered
    ALWAYS = "always"  # or not at all
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails are handed in, as `DUNNING_SMTP_URL` says it.

    Without credentials `auto` is the default: encryption where it is offered, with whoever answers, as mail servers do
    among themselves (an impostor could as well hide the offer). With credentials it is `always`. The certificate is
    checked wherever that protects something: for `always`, for `smtps` and whenever there are credentials.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    implicit_tls: bool = False
    starttls: StartTls = StartTls.AUTO
    ca_file: str | None = None  # trust this authority instead of the system's

    @property
    def checks_certificate(self) -> bool:
        """Whether an unknown certificate ends the connection."""
        return self.implicit_tls or self.starttls is StartTls.ALWAYS or self.username is not None

    @classmethod
    def from_url(cls, url: str) -> "SmtpServer":
        """Read `smtp://` or `smtps://`. Raises ValueError with what is wrong, never with the password."""
        parts = _split(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - {"starttls", "ca_file"})
        if unknown:
            raise ValueError(f'unknown option "{unknown[0]}"; allowed are starttls and ca_file')
        implicit_tls = parts.scheme == "smtps"
        username = unquote(parts.username) if parts.username else None
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if implicit_tls else 587 if username else 25),
            username=username,
            password=unquote(parts.password or "") if username else None,
            implicit_tls=implicit_tls,
            starttls=_starttls(options.get("starttls"), implicit_tls=implicit_tls, logs_in=username is not None),
            ca_file=options.get("ca_file") or None,
        )


def _split(url: str) -> SplitResult:
    """The URL's parts, if they are those of an SMTP server. An odd character in a password has to be %-encoded."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        is_server = False
    if not is_server or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"not the address of an SMTP server; {_EXAMPLE}")
    return parts


def _starttls(option: str | None, *, implicit_tls: bool, logs_in: bool) -> StartTls:
    if implicit_tls:
        if option is not None:
            raise ValueError("smtps is encrypted from the start; leave starttls out")
        return StartTls.NEVER
    if option is None:
        return StartTls.ALWAYS if logs_in else StartTls.AUTO
    try:
        return StartTls(option)
    except ValueError:
        raise ValueError(f'starttls is auto, always or never, not "{option}"') from None


class EmailSettings(BaseSettings):
    """What the email channel needs, to be mixed into a service's settings. Without `smtp_url` it is not configured."""

    model_config = SettingsConfigDict(
        env_prefix="DUNNING_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    smtp_url: SecretStr | None = Field(
        default=None, description="smtp://user:password@host:587?starttls=auto|always|never"
    )
    mail_sender_address: str = Field(default="billing@localhost", description="From address, also of the envelope")
    mail_sender_name: str = Field(default="Billing", description="From name, and the name under every mail")
    mail_reply_to: str | None = Field(default=None, description="where answers go; left out: to the sender")
    mail_footer: str = Field(default="", description="lines below every mail: who you are and how to reach you")
    mail_opt_out_url: str | None = Field(
        default=None,
        description="link below every mail to say no to mails; {account_id} and {notice_id} are filled in; "
        "left out: the customer is asked to answer the mail",
    )
    mail_message_id_domain: str | None = Field(
        default=None,
        description="right side of Message-ID, and our name towards the server; left out: the sender's domain",
    )
    smtp_connections_max: int = Field(default=4, ge=1, le=100, description="open at the same time, per instance")
    smtp_mails_per_connection_max: int = Field(default=100, ge=1, description="then a new connection")
    smtp_idle_seconds_max: float = Field(default=30, gt=0, description="an unused connection is closed after this")
    smtp_connect_timeout_seconds: float = Field(
        default=10, gt=0, description="for TCP, TLS, greeting and login together"
    )
    smtp_command_timeout_seconds: float = Field(
        default=8, gt=0, description="for each command, and for passing on the mail"
    )
    smtp_answer_timeout_seconds: float = Field(
        default=40, gt=0, description="for the answer to a whole mail; too short a time makes accepted mails `unknown`"
    )

    @field_validator("smtp_url")
    @classmethod
    def _url_is_readable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            SmtpServer.from_url(url.get_secret_value())
        return url

    @field_validator("mail_sender_address", "mail_reply_to")
    @classmethod
    def _address_is_one(cls, address: str | None) -> str | None:
        if address is not None:
            try:
                ours = Address.parse(address)
            except AddressError as error:
                raise ValueError(f"not a mail address: {error}") from None
            if ours.needs_smtputf8:  # else every mail would bounce at servers without that extension
                raise ValueError("the part before the @ has to be ASCII")
        return address

    @field_validator("mail_opt_out_url")
    @classmethod
    def _link_is_one(cls, url: str | None) -> str | None:
        if url is not None and safe_link(url.replace("{account_id}", "a").replace("{notice_id}", "n")) is None:
            raise ValueError("not a link that a customer can be sent to; write for example https://example.com/stop")
        return url

    @field_validator("mail_message_id_domain")
    @classmethod
    def _domain_is_one(cls, domain: str | None) -> str | None:
        if domain is not None:
            try:
                Address.parse(f"postmaster@{domain}")
            except AddressError:
                raise ValueError("not a domain") from None
        return domain

    @property
    def server(self) -> SmtpServer | None:
        """The server of `smtp_url`."""
        return None if self.smtp_url is None else SmtpServer.from_url(self.smtp_url.get_secret_value())

    @property
    def own_domain(self) -> str:
        """ASCII form of `mail_message_id_domain`, or of the sender's domain."""
        named = self.mail_message_id_domain
        return Address.parse(f"postmaster@{named}" if named else self.mail_sender_address).domain

    @property
    def perform_seconds_max(self) -> float:
        """What sending one mail takes at most, not counting `begin`: an errand's lease has to be longer, or a mail that
        is under way would be given up as `unknown`.

        Waiting for a connection, the RSET of a used one, a new one; then MAIL, RCPT, DATA, the mail, its answer.
        """
        until_ready = 2 * self.smtp_connect_timeout_seconds + self.smtp_command_timeout_seconds
        conversation = 4 * self.smtp_command_timeout_seconds + self.smtp_answer_timeout_seconds
        return until_ready + conversation
