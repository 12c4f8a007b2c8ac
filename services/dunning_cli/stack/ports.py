"""Ports of the local stack: chosen once, remembered, given up only when another program took them."""

import random
import socket

from dunning_cli.stack.layout import Layout

HOST = "127.0.0.1"
# Below the range from which the kernel takes the ports of outgoing connections, so that a remembered port stays free.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000


class Ports:
    """The ports of one data directory."""

    def __init__(self, layout: Layout) -> None:
        self._file = layout.ports_file
        self._ports = self._remembered()

    def of(self, part: str) -> int:
        """The port of a part: the remembered one while it is free, else a new one."""
        port = self._ports.get(part)
        if port is None or not is_free(port):
            port = self._pick_free_port()
            self._remember(part, port)
        return port

    def _pick_free_port(self) -> int:
        taken = set(self._ports.values())
        candidates = random.sample(range(_FIRST_PORT, _LAST_PORT), k=200)
        return next(port for port in candidates if port not in taken and is_free(port))

    def _remembered(self) -> dict[str, int]:
        if not self._file.exists():
            return {}
        lines = (line.partition("=") for line in self._file.read_text().splitlines())
        return {name: int(port) for name, _, port in lines if port.isdigit()}

    def _remember(self, part: str, port: int) -> None:
        self._ports = {**self._remembered(), **self._ports, part: port}
        fresh = self._file.with_suffix(".new")
        fresh.write_text("".join(f"{name}={number}\n" for name, number in sorted(self._ports.items())))
        fresh.replace(self._file)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port: a connection that lingers from before does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
