"""How figures are made and progress is told, the same in every benchmark."""

import sys
from collections.abc import Sequence


def progress(said: str) -> None:
    """Say it to whoever waits."""
    print(said, file=sys.stderr, flush=True)


def quantile(values: Sequence[float], percentile: int) -> float:
    """The smallest value that so many percent of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percentile // 100)]
