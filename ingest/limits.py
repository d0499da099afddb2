"""Bounds on who and what a row names: names come from outside, and anybody can send any.

Length: a longer name keeps its begin and gets a digest of the whole, so that two of them stay two.

Number: names of agents, features, nodes and tools are few, unless somebody puts an id into one.
Beyond `MOST_NAMES` of a column that a process has met, new ones become `TOO_MANY`: their rows and
their cost stay in every sum and are seen under that name, and the attribute keeps what was sent.
Tenants, users, threads and runs are never put together: money, erasure and retention are theirs,
and the writer holds no more of them than it has rows in hand.
"""

import hashlib
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import structlog

MAX_NAME = 256
"""Characters of an identity column; longer ones are cut."""
MOST_NAMES = 2000
"""Distinct names of a column of `LABELS` that a process stores before it puts further together."""
TOO_MANY = "[too many]"

LABELS = ("agent_name", "feature", "node", "tool_name")
IDENTITIES = ("tenant_id", "user_id", "thread_id", "run_id", *LABELS)

_DIGEST_BYTES = 8

_log = structlog.get_logger()


def shortened(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The identity columns, none longer than `MAX_NAME` characters."""
    return {name: _short(columns[name]) for name in IDENTITIES if name in columns}


def short(name: str) -> str:
    """The name as it is stored."""
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[: MAX_NAME - len(digest) - 1]}~{digest}"


def _short(names: pa.Array) -> pa.Array:
    longest = pc.max(pc.binary_length(names)).as_py()
    if longest is None or longest <= MAX_NAME:
        return names
    encoded = names.dictionary_encode()
    stored = [short(name) for name in encoded.dictionary.to_pylist()]
    return pa.array(stored, pa.string()).take(encoded.indices)


class Labels:
    """The names a process has met, by column."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._met: dict[str, set[str]] = {name: set() for name in LABELS}
        self._told: set[str] = set()

    def bounded(self, rows: pa.Table) -> pa.Table:
        """The rows, with the names that are too many put together."""
        for column in LABELS:
            if column in rows.column_names:
                rows = self._bounded(rows, column)
        return rows

    def _bounded(self, rows: pa.Table, column: str) -> pa.Table:
        names, met = rows[column], self._met[column]
        if names.null_count == len(names):
            return rows
        new = [name for name in pc.unique(names).to_pylist() if name and name not in met]
        room = self._most - len(met)
        met.update(new[:room])
        if not (beyond := new[room:]):
            return rows
        if column not in self._told:
            self._told.add(column)
            _log.warning("writer.too_many_names", column=column, most=self._most, first=beyond[0])
        together = pc.if_else(pc.is_in(names, pa.array(beyond)), TOO_MANY, names)
        return rows.set_column(rows.schema.get_field_index(column), rows.field(column), together)
