"""Opens the rooms as the configuration says, and turns their refusals into one line each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.config import Config
from cli.failure import Failure
from cli.output import say

if TYPE_CHECKING:
    from analytics import Analytics, Slo
    from lake import Lake


def open_lake(config: Config) -> "Lake":
    """The lake of ``config``. One that does not exist yet reads as empty."""
    from lake import Lake

    if config.data.exists() and not config.data.is_dir():
        raise Failure(f"{config.data}: not a directory; name the data directory with --data", 2)
    if not config.data.exists():
        say(f"{config.data}: no data yet; run quietpager up, or name the directory with --data")
    return Lake(config.data / "lake")


def open_analytics(config: Config) -> "Analytics":
    """Answers over the lake of ``config``."""
    from analytics import Analytics

    return Analytics(open_lake(config), prices=config.price_overrides())


def load_objectives(config: Config) -> "Sequence[Slo]":
    """The objectives of ``config``, or the shipped ones."""
    from analytics import load_slos

    return load_slos(config.slo)


def alert_store(config: Config) -> Path:
    """Where the pager keeps what fires and what fired."""
    return config.data / "state" / "alerts.sqlite"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Whatever a room refuses becomes a `Failure`: 1 for a question, 2 for a definition."""
    try:
        yield
    except Exception as error:
        if (failure := _failure(error)) is None:
            raise
        raise failure from None


def _failure(error: Exception) -> Failure | None:
    """What to say of what a room refused; None for anything else."""
    from analytics import QueryError, SloError, UnknownQuestion
    from analytics.alerts import AlertStoreError
    from lake import LakeError

    if isinstance(error, SloError):
        return Failure(str(error), 2)
    refused = (QueryError, UnknownQuestion, LakeError, AlertStoreError)
    return Failure(str(error)) if isinstance(error, refused) else None
