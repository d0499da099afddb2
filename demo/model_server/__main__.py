"""`python -m demo.model_server [--host HOST] [--port PORT] [--rules FILE.json] [--seed N]`."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from demo.model_server.rules import Rule
from demo.model_server.server import serve


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any.")] = 0,
    rules: Annotated[Path | None, typer.Option(help="JSON array of rules.")] = None,
    seed: Annotated[int, typer.Option(help="For rules with a probability.")] = 0,
) -> None:
    """Serve a scripted, OpenAI-compatible model vendor; prints its base URL when ready."""
    known = TypeAdapter(list[Rule]).validate_json(rules.read_bytes()) if rules else []
    serve(host, port, known, seed)


if __name__ == "__main__":
    typer.run(main)
