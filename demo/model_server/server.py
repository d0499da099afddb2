"""The vendor as a server in a thread, for tests and for whoever wants to script it from Python."""

import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer
import uvicorn

from demo.model_server.app import create_app
from demo.model_server.ledger import Call, Ledger
from demo.model_server.rules import Rule, Script


@dataclass(frozen=True)
class ModelServer:
    """A running vendor. `base_url` is what an OpenAI client is given."""

    base_url: str
    _script: Script
    _ledger: Ledger

    def follow(self, *rules: Rule) -> None:
        """Answer by these rules from now on."""
        self._script.replace(rules)

    def calls(self) -> Sequence[Call]:
        """The ledger's calls, in order of arrival."""
        return self._ledger.calls()


@contextmanager
def running(
    *rules: Rule, host: str = "127.0.0.1", port: int = 0, seed: int = 0
) -> Iterator[ModelServer]:
    """A vendor on a port of its own, ended with the block."""
    script, ledger = Script(rules, seed), Ledger()
    with socket.create_server((host, port)) as listener:
        server = uvicorn.Server(configured(script, ledger))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield ModelServer(f"http://{host}:{listener.getsockname()[1]}/v1", script, ledger)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def configured(script: Script, ledger: Ledger) -> uvicorn.Config:
    """A cut stream ends in an exception, which the server must not report as a bug. Whoever else
    serves in the process sets the level anew, so there is no lifespan for ``running`` to cut."""
    return uvicorn.Config(
        create_app(script, ledger), log_level=60, access_log=False, timeout_graceful_shutdown=1,
        lifespan="off",
    )  # fmt: skip


def serve(host: str, port: int, rules: Iterable[Rule], seed: int) -> None:
    """Serve until SIGTERM or Ctrl-C, after printing the base URL as one line."""
    with socket.create_server((host, port)) as listener:
        typer.echo(f"http://{host}:{listener.getsockname()[1]}/v1")
        uvicorn.Server(configured(Script(rules, seed), Ledger())).run(sockets=[listener])
