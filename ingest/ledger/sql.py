"""The SQL of the ledger, by name."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The SQL of a file in `statements`."""
    return (resources.files("ingest.ledger") / "statements" / f"{name}.sql").read_text("utf-8")
