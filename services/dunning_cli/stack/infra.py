"""Kafka, PostgreSQL and the mail server: the named ones, or own ones."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.errors import NO_INFRA, StackError
from dunning_cli.stack.kafka import LocalBroker
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.mail import LocalMail
from dunning_cli.stack.parts import Part
from dunning_cli.stack.ports import Ports
from dunning_cli.stack.postgres import LocalDatabase
from dunning_cli.stack.reach import DATABASE, KAFKA, SMTP, require_database, require_kafka, require_smtp
from dunning_cli.stack.report import Report

MAIL_DIR = "DUNNING_MAIL_DIR"


@dataclass(frozen=True)
class Infra:
    """Where the services find what they need."""

    kafka_bootstrap_servers: str
    database_url: str
    smtp_url: str
    mail_dir: str | None

    def as_settings(self) -> dict[str, str | None]:
        return {
            KAFKA: self.kafka_bootstrap_servers,
            DATABASE: self.database_url,
            SMTP: self.smtp_url,
            MAIL_DIR: self.mail_dir,
        }


class InfraPlan:
    """Which parts are to be started, and what `Infra` there is once they run."""

    def __init__(self, layout: Layout, ports: Ports, report: Report, stopping: threading.Event) -> None:
        named = os.environ
        self._layout = layout
        self._database = None if named.get(DATABASE) else LocalDatabase(layout, ports, report)
        self._broker = None if named.get(KAFKA) else LocalBroker(layout, ports, report, stopping)
        self._mail = None if named.get(SMTP) else LocalMail(layout, ports)
        self.parts: list[Part] = [own.part() for own in (self._database, self._mail, self._broker) if own is not None]

    def require_the_named(self) -> None:
        """A named server that does not answer is an error now, not a service that never gets ready."""
        _require_reachable({name: value for name in (KAFKA, DATABASE, SMTP) if (value := os.environ.get(name))})

    def infra(self) -> Infra:
        """Known in full only after the parts were prepared: the database's password is made then."""
        return Infra(
            kafka_bootstrap_servers=self._broker.address if self._broker else os.environ[KAFKA],
            database_url=self._database.url if self._database else os.environ[DATABASE],
            smtp_url=self._mail.url if self._mail else os.environ[SMTP],
            mail_dir=str(self._layout.mail_dir) if self._mail else os.environ.get(MAIL_DIR),
        )


def infra_in_use(layout: Layout, *, runs_here: bool) -> Infra:
    """What the settings name, completed by what another `up` runs for the same data directory."""
    known = {**(EnvFile(layout).read() if runs_here else {}), **_named()}
    missing = [name for name in (KAFKA, DATABASE, SMTP) if name not in known]
    if missing:
        message = f"{missing[0]} is not set, and nothing runs for {layout.root}: `dunning up --only infra` starts it"
        raise StackError(NO_INFRA, message)
    _require_reachable(known)
    return Infra(known[KAFKA], known[DATABASE], known[SMTP], known.get(MAIL_DIR))


def _named() -> dict[str, str]:
    return {name: value for name in (KAFKA, DATABASE, SMTP, MAIL_DIR) if (value := os.environ.get(name))}


def _require_reachable(settings: Mapping[str, str]) -> None:
    checks = {KAFKA: require_kafka, DATABASE: require_database, SMTP: require_smtp}
    for name, require in checks.items():
        if name in settings:
            require(settings[name])
