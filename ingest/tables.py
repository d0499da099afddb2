"""Which table of the lake has the rows of which signal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.decode import Signal

TABLE_OF: "Mapping[Signal, str]" = {"traces": "spans", "logs": "logs", "metrics": "metrics"}
