"""Options that benchmarks share."""

import argparse
from collections.abc import Callable, Collection


def positive(said: str) -> float:
    """A number above 0, for argparse."""
    if (value := float(said)) > 0:
        return value
    raise argparse.ArgumentTypeError(f"{said} must be more than 0")


def names_of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads a comma-separated list of peers, or none, for argparse."""

    def read(said: str) -> tuple[str, ...]:
        names = () if said == "none" else tuple(said.split(","))
        if unknown := [name for name in names if name not in known]:
            listed = ", ".join(known)
            raise argparse.ArgumentTypeError(f"no peer {unknown[0]!r}; there are {listed}, or none")
        return names

    return read
