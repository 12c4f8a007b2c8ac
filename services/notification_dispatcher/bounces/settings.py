"""Settings of the boxes that bounces come to, from the environment with the prefix `DUNNING_`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_EXAMPLE = "write for example imaps://user:password@mail.example.com/INBOX"


@dataclass(frozen=True, slots=True)
class ImapServer:
    """Where a mailbox is read, as `DUNNING_BOUNCE_IMAP_URL` says it."""

    host: str
    port: int
    username: str
    password: str
    mailbox: str = "INBOX"
    encrypted: bool = True
    ca_file: str | None = None  # trust this authority instead of the system's

    @classmethod
    def from_url(cls, url: str) -> "ImapServer":
        """Read `imaps://`, or on this machine `imap://`. Raises ValueError with what is wrong, never the password."""
        try:
            parts = urlsplit(url)
            is_server = parts.scheme in ("imap", "imaps") and parts.hostname and parts.port != 0
        except ValueError:  # brackets that do not match, a port that is no number
            is_server = False
        if not is_server or parts.fragment:
            raise ValueError(f"not the address of an IMAP mailbox; {_EXAMPLE}")
        if not parts.username or not parts.password:
            raise ValueError(f"user or password is missing; {_EXAMPLE}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(options) - {"ca_file"}):
            raise ValueError(f'unknown option "{unknown[0]}"; allowed is ca_file')
        encrypted, host = parts.scheme == "imaps", parts.hostname or ""
        if not encrypted and not _is_this_machine(host):
            raise ValueError("imap would tell the password to everybody on the way; write imaps")
        given = cls(
            host,
            parts.port or (993 if encrypted else 143),
            unquote(parts.username),
            unquote(parts.password),
            unquote(parts.path.strip("/")) or "INBOX",
            encrypted,
            options.get("ca_file") or None,
        )
        if not all(text.isascii() and text.isprintable() for text in (given.username, given.password, given.mailbox)):
            raise ValueError("user, password and mailbox have to be printable ASCII")
        return given


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BounceSettings(BaseSettings):
    """Where bounces come to, to be mixed into a service's settings. Without a box none are read."""

    model_config = SettingsConfigDict(
        env_prefix="DUNNING_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    bounce_dir: Path | None = Field(default=None, description="a folder of .eml files, or a Maildir")
    bounce_imap_url: SecretStr | None = Field(default=None, description="imaps://user:password@host/INBOX")
    bounce_poll_seconds: float = Field(default=30, gt=0, description="between two looks into a box")
    bounce_pause_seconds_max: float = Field(default=300, gt=0, description="between two tries with a box that is away")
    bounce_mail_bytes_max: int = Field(
        default=1024 * 1024, ge=16 * 1024, le=64 * 1024 * 1024, description="a larger mail is not read"
    )
    bounce_imap_timeout_seconds: float = Field(default=8, gt=0, description="for each exchange with the server")

    @field_validator("bounce_imap_url")
    @classmethod
    def _imap_url_is_readable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            ImapServer.from_url(url.get_secret_value())
        return url

    @property
    def imap_server(self) -> ImapServer | None:
        """The server of `bounce_imap_url`."""
        return None if self.bounce_imap_url is None else ImapServer.from_url(self.bounce_imap_url.get_secret_value())
