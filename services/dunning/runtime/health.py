"""What is wrong right now, and who may ask: `/healthz`, `/readyz` and `/metrics`.

A trouble is told once when it begins and once when it is over, counts as an alarm, and makes the service not ready as
long as it lasts. Nothing here decides anything: the parts wait and go on by themselves.
"""

import errno
from collections import Counter

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.problem import METRICS_PORT_TAKEN, SETTING_WRONG, Problem

_log = log_for("health")


class Health:
    """The troubles of this process by the part that has them; a part that has not begun yet is one."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._troubles: dict[str, tuple[str, str]] = {}
        self._alarms: dict[str, tuple[str, str]] = {}
        self._told: set[str] = set()
        self.observed_metrics: Metrics | None = None  # of the shadow, while the service observes (rule 42)

    def starting(self, part: str) -> None:
        """Not ready until this part says `well`; no alarm."""
        self._troubles[part] = ("", "starting")
        self._tell()

    def trouble(self, part: str, code: str, message: str) -> None:
        """Something is wrong with a part. Saying the same again changes nothing."""
        known = self._troubles.get(part)
        self._troubles[part] = (code, message)
        self._tell()
        if known is None or known[0] != code:
            self.metrics.alarms.labels(code).inc()
            _log.error("trouble begins", about=part, code=code, message=message)

    def well(self, part: str) -> None:
        """The part works."""
        known = self._troubles.pop(part, None)
        if known is None:  # said again and again, so it must cost nothing
            self.metrics.ready.set(0 if self._troubles else 1)
            return
        self._tell()
        if known[0]:
            _log.info("trouble is over", about=part, code=known[0])

    def alarm(self, part: str, code: str, message: str) -> None:
        """Somebody has to look, but the service works: it stays ready."""
        known = self._alarms.get(part)
        self._alarms[part] = (code, message)
        self._tell()
        if known is None:
            self.metrics.alarms.labels(code).inc()
            _log.error("alarm begins", about=part, code=code, message=message)

    def calm(self, part: str) -> None:
        """The alarm is over."""
        known = self._alarms.pop(part, None)
        self._tell()
        if known is not None:
            _log.info("alarm is over", about=part, code=known[0])

    def _tell(self) -> None:
        """A code that was ever told stays, with 0: who watches it sees that it is over."""
        self.metrics.ready.set(0 if self._troubles else 1)
        now = Counter(code for code, _ in (*self._troubles.values(), *self._alarms.values()) if code)
        for code in self._told | now.keys():
            self.metrics.troubles.labels(code).set(now[code])
        self._told |= now.keys()

    @property
    def alarms(self) -> dict[str, str]:
        """What somebody has to look at though the service works, in words, by part."""
        return {part: f"{message}  [{code}]" for part, (code, message) in self._alarms.items()}

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong, in words, by part; empty when ready."""
        return {part: f"{message}  [{code}]" if code else message for part, (code, message) in self._troubles.items()}


class HealthServer:
    """The three pages over HTTP."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 is any free one. Raises Problem when the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_get("/metrics/observed", self._observed_page)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise _cannot_listen(host, port, error) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})  # it is the event loop of the work that answers

    async def _readyz(self, _: web.Request) -> web.Response:
        troubles = self._health.troubles
        said = {"ready": not troubles, "troubles": troubles, "alarms": self._health.alarms}
        return web.json_response(said, status=503 if troubles else 200)

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return _page_of(self._health.metrics)

    async def _observed_page(self, _: web.Request) -> web.Response:
        """The same names, of what the service would do; only while it observes."""
        metrics = self._health.observed_metrics
        if metrics is None:
            return web.Response(status=404, text="the service does not observe\n")
        return _page_of(metrics)


def _page_of(metrics: Metrics) -> web.Response:
    return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _cannot_listen(host: str, port: int, error: OSError) -> Problem:
    if error.errno == errno.EADDRINUSE:
        free = "give DUNNING_METRICS_PORT another value, 0 takes any free one"
        return Problem(METRICS_PORT_TAKEN, f"{host}:{port} is in use by another process: {free}")
    return Problem(SETTING_WRONG, f"DUNNING_METRICS_HOST: cannot listen on {host}:{port} ({error.strerror or error})")
