"""The three services as parts of the local stack."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

from dunning_cli.stack.infra import Infra
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.parts import Part
from dunning_cli.stack.ports import HOST, Ports
from dunning_cli.stack.processes import Command

_STOP_SECONDS_MAX = 15  # A service promises to be gone within ten.


class LocalService:
    """One instance of a service."""

    def __init__(self, name: str, layout: Layout, ports: Ports, infra: Infra, policy_dir: Path) -> None:
        self._name = name
        self._layout = layout
        self._infra = infra
        self._policy_dir = policy_dir
        self._port = ports.of(name)

    @property
    def metrics_setting(self) -> tuple[str, str]:
        return f"DUNNING_METRICS_{self._name.upper()}_URL", f"http://{HOST}:{self._port}/metrics"

    def part(self) -> Part:
        return Part(
            name=self._name,
            command=self.command,
            why_not_ready=self.why_not_ready,
            ready_seconds_max=60,
            stop_seconds_max=_STOP_SECONDS_MAX,
            stops_first=True,
        )

    def command(self) -> Command:
        own = {
            "DUNNING_POLICY_DIR": str(self._policy_dir),
            "DUNNING_METRICS_PORT": str(self._port),
            "DUNNING_INSTANCE_ID": f"{self._name}-1",
        }
        shared = {name: value for name, value in self._infra.as_settings().items() if value is not None}
        # -P: the folders of the data directory are no packages.
        program = [sys.executable, "-P", "-m", self._name]
        return Command(program, working_dir=self._layout.root, environment={**shared, **own})

    def why_not_ready(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}/readyz", timeout=5) as answer:
                answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.read(2000).decode(errors="replace").strip() or f"/readyz answers {refusal.code}"
        except OSError as error:
            return str(getattr(error, "reason", error))
        return None
