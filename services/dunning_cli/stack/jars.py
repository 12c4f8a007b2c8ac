"""The broker's jars: fetched once into a cache of the user's, pinned by checksum, checked at every start.

The lock file names coordinates and checksums, no addresses: where they come from is the resolver's business.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunning_cli.stack.errors import CHECKSUM_WRONG, DOWNLOAD_FAILED, PACKAGES_MISSING, StackError, from_os_error
from dunning_cli.stack.layout import deploy_dir
from dunning_cli.stack.report import Report
from dunning_cli.stack.signals import raise_if_asked

# kafka-clients is named beside kafka_2.13: left to itself the resolver takes an older one and the broker cannot start.
WANTED = (
    "org.apache.kafka:kafka_2.13:4.1.1",
    "org.apache.kafka:kafka-clients:4.1.1",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
)
_DOWNLOADS_AT_ONCE = 6
_DOWNLOAD_TIMEOUT_SECONDS = 30
_PAUSES_SECONDS = (0.5, 2.0)


@dataclass(frozen=True)
class Jar:
    """One pinned jar of the lock file."""

    sha256: str
    group: str
    artifact: str
    version: str

    def path_in(self, repository: Path) -> Path:
        name = f"{self.artifact}-{self.version}.jar"
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, name)


def cache_dir() -> Path:
    """Where downloads are kept for all data directories of a user."""
    return Path(os.environ.get("DUNNING_CACHE_DIR") or "~/.cache/dunning").expanduser().resolve()


def lock_file() -> Path:
    return deploy_dir() / "local" / "kafka-jars.lock"


def class_path(report: Report, stopping: threading.Event) -> str:
    """The broker's class path, every jar on it present and just checked."""
    jars = read_lock(lock_file())
    repository = cache_dir() / "jars"
    try:
        with _alone_in(cache_dir()):
            _fetch([jar for jar in jars if not _is_intact(jar, repository)], repository, report, stopping)
    except OSError as error:
        raise from_os_error(error) from error
    return ":".join(str(jar.path_in(repository)) for jar in jars)


def read_lock(path: Path) -> list[Jar]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [_parse_lock_line(line) for line in lines]


def _parse_lock_line(line: str) -> Jar:
    sha256, coordinate = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(sha256=sha256, group=group, artifact=artifact, version=version)


def _is_intact(jar: Jar, repository: Path) -> bool:
    path = jar.path_in(repository)
    return path.exists() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(missing: list[Jar], repository: Path, report: Report, stopping: threading.Event) -> None:
    if not missing:
        return
    report.say(f"downloading Kafka: {len(missing)} files, once")
    for jar in missing:  # A half-written file of an earlier try would be taken for the whole.
        jar.path_in(repository).unlink(missing_ok=True)
    context = _maven_context(repository)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        downloads = [pool.submit(_download, context, jar, repository) for jar in missing]
        try:
            for count, download in enumerate(as_completed(downloads), start=1):
                download.result()
                raise_if_asked(stopping)
                report.progress(f"  {count} of {len(missing)} files", milestone=count % 15 == 0)
        finally:  # One that fails, or a Ctrl-C, ends them all.
            pool.shutdown(cancel_futures=True)
            report.progress_over()


def _download(context: Any, jar: Jar, repository: Path) -> None:
    import requests

    try:
        _try_to_download(context, jar)
    except (requests.RequestException, RuntimeError) as error:
        reason = "it was not found" if isinstance(error, RuntimeError) else "no answer, or a broken one"
        message = f"cannot download {jar.artifact} {jar.version}: {reason}; check the network and try again"
        raise StackError(DOWNLOAD_FAILED, message) from error
    if not _is_intact(jar, repository):
        jar.path_in(repository).unlink(missing_ok=True)
        message = f"{jar.artifact} {jar.version} is not the file that {lock_file().name} pins: not used"
        raise StackError(CHECKSUM_WRONG, message)


def _try_to_download(context: Any, jar: Jar) -> None:
    """A network may stumble once or twice among so many files."""
    import requests

    for pause_seconds in _PAUSES_SECONDS:
        try:
            context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            return
        except requests.RequestException:
            jar.path_in(context.repo_cache).unlink(missing_ok=True)
            time.sleep(pause_seconds)
    context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def _maven_context(repository: Path) -> Any:
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise StackError(PACKAGES_MISSING, "the packages of the local stack are missing: `make install`") from error
    return MavenContext(resolver=PythonResolver(), repo_cache=repository, timeout=_DOWNLOAD_TIMEOUT_SECONDS)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two stacks started at the same time download once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_lock(path: Path, repository: Path) -> None:
    """Resolve what is wanted anew and pin what came: `make lock` does this."""
    context = _maven_context(repository)
    inputs, others = context.resolver.resolve([context.create_dependency(coordinate) for coordinate in WANTED])
    lines = []
    for dependency in inputs + others:
        sha256 = _sha256(dependency.artifact.resolve())
        lines.append((f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}", sha256))
    header = "# The broker's jars: sha256, group:artifact:version. Made by `make lock`.\n"
    path.write_text(header + "".join(f"{sha256}  {coordinate}\n" for coordinate, sha256 in sorted(lines)))


if __name__ == "__main__":
    write_lock(lock_file(), cache_dir() / "jars")
