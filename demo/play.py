"""The demo from beginning to end."""

import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from demo import vendor
from demo.answers import count_runs, print_answers, sidecar_command
from demo.narrator import Narrator
from demo.processes import DemoFailed, Process, running
from demo.traffic import Traffic, flowing
from demo.webhook import Pages, ReceivedAlert, alert_receiver

BUSY, CALM = 8.0, 2.0
"""Requests per second while the story is told, and after it."""
HEALTHY_SECONDS = 10.0
FIRES_WITHIN_SECONDS = 30.0
RESOLVES_WITHIN_SECONDS = 40.0
WRITTEN_WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.25
DASHBOARD = ("127.0.0.1", 8321)

CONFIGURATION = """\
# Written by `quietpager demo`: the alert looks back seconds instead of minutes, to be over soon.
data = "."
otlp_http = "127.0.0.1:0"
otlp_grpc = "127.0.0.1:0"
dashboard = "{dashboard}"

[[alerts]]
name = "ttfb-p95"
threshold_ms = 1500
window = "12s"
for = "2s"
keep_firing_for = "3s"
interval = "1s"
min_samples = 5

[[webhooks]]
name = "on-call"
url = "{webhook}"
"""


@dataclass(frozen=True)
class Stage:
    """What runs while the demo does."""

    config: Path
    processes: tuple[Process, ...]
    model_url: str
    agent_url: str
    dashboard_url: str
    pages: Pages

    def check(self) -> None:
        """:raises DemoFailed: when a part has ended."""
        for process in self.processes:
            process.check()


def run_demo(*, data: Path | None = None, once: bool = False) -> None:
    """Run the whole pipeline on live traffic and print the answers on stdout.

    Everything keeps running until Ctrl-C unless ``once``. Uses and keeps ``data``, which must be
    empty, or a temporary directory that goes away at the end.
    :raises DemoFailed: when a part does not start, or the alert did not fire and resolve.
    """
    narrator = Narrator()
    with _ended_by_sigterm(), _directory(data) as home:
        try:
            _play(narrator, home, once=once)
        except KeyboardInterrupt:
            narrator.say("stopped")


def _play(narrator: Narrator, home: Path, *, once: bool) -> None:
    traffic = Traffic()
    with ExitStack() as parts:
        with narrator.working("starting the sidecar, a model vendor and an agent"):
            stage = _start(narrator, home, parts)
        with flowing(stage.agent_url, traffic, BUSY):
            _watch_an_alert(narrator, stage, traffic)
        with narrator.working("waiting until every run is in the lake"):
            _wait(
                lambda: count_runs(stage.config) >= traffic.runs,
                WRITTEN_WITHIN_SECONDS, stage, narrator, traffic,
                failure="the lake has fewer runs than the agents took on",
            )  # fmt: skip
        print_answers(stage.config)
        if not once:
            typer.echo(f"\nThe dashboard: {stage.dashboard_url}\n")
            with flowing(stage.agent_url, traffic, CALM):
                _keep_going(narrator, stage, traffic, home)
        narrator.say("draining: what was received is written before the sidecar ends")
    narrator.say("done")


def _start(narrator: Narrator, home: Path, parts: ExitStack) -> Stage:
    def start(name: str, *command: str) -> Process:
        return parts.enter_context(running(name, command, home / f"{name}.log"))

    pages = Pages(lambda alert: _announce(narrator, alert))
    webhook = parts.enter_context(alert_receiver(pages))
    config = home / "quietpager.toml"
    config.write_text(CONFIGURATION.format(dashboard=_dashboard_address(), webhook=webhook))
    sidecar = start("sidecar", *sidecar_command(config))
    models = start("models", sys.executable, "-m", "demo.model_server")
    (model_url,) = models.lines(1)
    vendor.follow(model_url, *vendor.USUAL)
    otlp_url, _, dashboard_url = (line.split()[-1] for line in sidecar.lines(3))
    agent = start("agent", sys.executable, "-m", "demo.agent",
                  "--model-url", model_url, "--otlp", otlp_url)  # fmt: skip
    (agent_url,) = agent.lines(1)
    return Stage(config, (sidecar, models, agent), model_url, agent_url, dashboard_url, pages)


def _watch_an_alert(narrator: Narrator, stage: Stage, traffic: Traffic) -> None:
    """Let the first token of one tenant become slow and well again, and see the alert do so."""
    tenant = vendor.SLOW_TENANT
    began = time.monotonic()
    with narrator.working("users of four tenants ask three agents for help"):
        _wait(lambda: time.monotonic() - began > HEALTHY_SECONDS,
              HEALTHY_SECONDS + 1, stage, narrator, traffic)  # fmt: skip
    vendor.follow(stage.model_url, *vendor.USUAL, vendor.SLOW)
    with narrator.working(f"the model becomes slow for {tenant}: will anybody be told?"):
        _wait(
            lambda: stage.pages.has_fired(tenant),
            FIRES_WITHIN_SECONDS, stage, narrator, traffic,
            failure=f"no alert for {tenant} fired",
        )  # fmt: skip
    vendor.follow(stage.model_url, *vendor.USUAL)
    with narrator.working(f"the model is well again for {tenant}"):
        _wait(
            stage.pages.all_resolved,
            RESOLVES_WITHIN_SECONDS, stage, narrator, traffic,
            failure="an alert that fired did not resolve",
        )  # fmt: skip


def _keep_going(narrator: Narrator, stage: Stage, traffic: Traffic, home: Path) -> None:
    """Watch the traffic until Ctrl-C."""
    narrator.say(f"everything keeps running; ask it more, e.g. quietpager slo --data {home}")
    with narrator.working("Ctrl-C ends it"):
        while True:
            stage.check()
            narrator.update(traffic.summary())
            time.sleep(POLL_SECONDS)


def _wait(
    over: Callable[[], bool],
    seconds: float,
    stage: Stage,
    narrator: Narrator,
    traffic: Traffic,
    failure: str = "",
) -> None:
    deadline = time.monotonic() + seconds
    while not over():
        stage.check()
        if time.monotonic() > deadline:
            raise DemoFailed(f"{failure} within {seconds:.0f} s; {traffic.summary()}")
        narrator.update(traffic.summary())
        time.sleep(POLL_SECONDS)


def _announce(narrator: Narrator, alert: ReceivedAlert) -> None:
    style = "bold red" if alert.status == "firing" else "bold green"
    narrator.say(f"{alert.status.upper():8}  {alert.name}: {alert.summary}", style)


def _dashboard_address() -> str:
    """The usual address, or any port when that is taken."""
    host, port = DASHBOARD
    try:
        socket.create_server(DASHBOARD).close()
    except OSError:
        port = 0
    return f"{host}:{port}"


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: nothing it started stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is None:
        home = Path(tempfile.mkdtemp(prefix="quietpager-demo-"))
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return
    try:
        data.mkdir(parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise DemoFailed(f"{data} is not empty; name a new directory with --data")
    except OSError as error:
        raise DemoFailed(f"{data}: {error.strerror}; name a new directory with --data") from None
    yield data.absolute()
