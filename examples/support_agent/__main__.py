"""`python -m examples.support_agent [--port 8100]`: the agent, and what it needs besides.

With OPENAI_API_KEY it asks OpenAI (or OPENAI_BASE_URL), otherwise the model server of the demo;
with SHOP_URL it uses the shop that is there, otherwise a stand-in. Without STAFF_TOKEN it makes
one and prints it.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from demo.model_server import Rule, running

from .shop import Books, create_shop

HOW_TO_ASK = """\
# The support agent listens on {url}. Ask it, as a customer:
#   curl -N {url}/threads/ada:t1/runs -H 'X-Tenant-Id: acme' -H 'X-User-Id: ada' \\
#     -H 'Content-Type: application/json' -d '{{"input": "Please refund order 1042."}}'
# Order 1043 was dear, so its refund waits for a colleague, who looks at what is "asked":
#   curl {url}/threads/ada:t1 -H 'X-Tenant-Id: acme' -H 'X-User-Id: ada'
# and says, with the id that is its "question":
#   curl -N {url}/threads/ada:t1/resume -H 'X-Tenant-Id: acme' -H 'X-User-Id: ada' \\
#     -H 'X-Staff-Token: {token}' \\
#     -H 'Content-Type: application/json' \\
#     -d '{{"question": "ID", "value": {{"approved": true}}}}'
"""


def main(port: Annotated[int, typer.Option(help="Port of the agent; 0 for any.")] = 8100) -> None:
    """Serve the support agent with everything that it needs, until Ctrl-C."""
    with ExitStack() as parts:
        if "OPENAI_API_KEY" not in os.environ:
            vendor = parts.enter_context(running(Rule(first_token_ms=300, token_ms=30)))
            os.environ |= {"OPENAI_BASE_URL": vendor.base_url, "OPENAI_API_KEY": "none"}
        if "SHOP_URL" not in os.environ:
            os.environ["SHOP_URL"] = parts.enter_context(_in_background(create_shop(Books())))
        token = os.environ.setdefault("STAFF_TOKEN", secrets.token_urlsafe())
        from .agent import app  # it reads the environment

        listener = parts.enter_context(_listening(port))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        typer.echo(HOW_TO_ASK.format(url=url, token=token), err=True)
        typer.echo(url)
        config = uvicorn.Config(app, log_level="warning")
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        if not server.started:
            raise typer.Exit(3)  # and a line says why


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else error
        raise SystemExit(
            f"port {port} cannot be listened on ({why}); say another one with --port"
        ) from None


@contextmanager
def _in_background(app: FastAPI) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    typer.run(main)
