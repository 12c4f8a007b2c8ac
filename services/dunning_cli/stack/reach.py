"""Whether something listens where the settings say it does."""

import socket
from urllib.parse import urlsplit

from dunning_cli.stack.errors import DATABASE_UNREACHABLE, KAFKA_UNREACHABLE, SMTP_UNREACHABLE, StackError

_CONNECT_SECONDS_MAX = 3
_DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "smtp": 25, "smtps": 465}


def why_no_connection(address: str) -> str | None:
    """The reason why nobody answers at `host:port`, in a person's words."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS_MAX).close()
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except ValueError:
        return "not of the form host:port"
    return None


def require_kafka(bootstrap_servers: str) -> None:
    """One of the named brokers is enough: it knows the others."""
    refusals = [why_no_connection(address.strip()) for address in bootstrap_servers.split(",")]
    if all(refusals):
        raise StackError(KAFKA_UNREACHABLE, _message("Kafka", bootstrap_servers, str(refusals[0])))


def require_database(url: str) -> None:
    _require("PostgreSQL", url, DATABASE_UNREACHABLE)


def require_smtp(url: str) -> None:
    _require("the mail server", url, SMTP_UNREACHABLE)


def _require(what: str, url: str, code: str) -> None:
    parts = urlsplit(url)
    if not parts.hostname:  # A socket file: the first connection will tell.
        return
    address = f"{parts.hostname}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)}"
    if (refusal := why_no_connection(address)) is not None:
        raise StackError(code, _message(what, address, refusal))


def _message(what: str, where: str, refusal: str) -> str:
    return f"cannot reach {what} at {where} ({refusal}): is it running? `dunning up` starts one"
