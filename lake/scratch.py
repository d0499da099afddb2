"""A DuckDB for one piece of work on the lake: bounded memory, the rest on disk, then gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from tempfile import TemporaryDirectory

import duckdb

MEMORY_LIMIT = "192MB"


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database that spills to the system's temporary directory."""
    with TemporaryDirectory(prefix="quietpager-") as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY_LIMIT,
            "threads": 1,
            "temp_directory": spill,
            "preserve_insertion_order": False,
        }
        with duckdb.connect(config=config) as connection:
            yield connection


@cache
def statement(name: str) -> str:
    """The SQL of `lake/statements/`."""
    return (resources.files("lake") / "statements" / f"{name}.sql").read_text("utf-8")
