"""Whether something listens where the settings say it does."""

import socket
from urllib.parse import urlsplit

from dunning.runtime.problem import DATABASE_UNREACHABLE, KAFKA_UNREACHABLE, NOBODY_TAKES_ERRANDS
from dunning.runtime.settings import servers_of
from dunning_cli.stack.errors import StackError

KAFKA = "DUNNING_KAFKA_BOOTSTRAP_SERVERS"
DATABASE = "DUNNING_DATABASE_URL"
SMTP = "DUNNING_SMTP_URL"
_CALLED = {KAFKA: "Kafka", DATABASE: "PostgreSQL", SMTP: "the mail server"}
_CONNECT_SECONDS_MAX = 3
_NO_ADDRESS = "not of the form host:port"
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
        return _NO_ADDRESS
    return None


def require_kafka(bootstrap_servers: str) -> None:
    """One of the named brokers is enough: it knows the others."""
    refusals = [why_no_connection(address.strip()) for address in bootstrap_servers.split(",")]
    if all(refusals):
        raise StackError(KAFKA_UNREACHABLE, _message(KAFKA, bootstrap_servers, str(refusals[0])))


def require_database(url: str) -> None:
    _require(DATABASE, url, DATABASE_UNREACHABLE)


def require_smtp(url: str) -> None:
    _require(SMTP, url, NOBODY_TAKES_ERRANDS)


def _require(setting: str, url: str, code: str) -> None:
    """One of several servers is enough."""
    try:
        addresses = _addresses(url)
    except ValueError:  # brackets that do not match, a port that is no number
        raise StackError(code, _message(setting, "the address that is set", _NO_ADDRESS)) from None
    refusals = [why_no_connection(address) for address in addresses]
    if refusals and all(refusals):
        raise StackError(code, _message(setting, ",".join(addresses), str(refusals[0])))


def _addresses(url: str) -> list[str]:
    """`host:port` of each server that a URL names; none for a socket file: the first connection will tell."""
    servers, default_port = servers_of(url), _DEFAULT_PORTS.get(urlsplit(url).scheme, 0)
    if not all(each.hostname for each in servers):
        return []
    return [f"{each.hostname}:{each.port or default_port}" for each in servers]


def _message(setting: str, where: str, refusal: str) -> str:
    hint = f"is it running? `dunning up` starts one where {setting} names none"
    return f"cannot reach {_CALLED[setting]} at {where} ({refusal}): {hint}"
