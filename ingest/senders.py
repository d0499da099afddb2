"""Which library sent each record, where the mapping makes a difference."""

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded
from ingest.pairs import Flags, fits
from lake.mapping import AttributeMap, Match


class Senders:
    """Asked by name; only what is asked for is computed."""

    def __init__(self, mapping: AttributeMap, decoded: Decoded, names: pa.Array) -> None:
        self._matches = {sender.name: sender.match for sender in mapping.senders}
        self._scopes = pc.struct_field(decoded.scopes, "name")
        self._scope = decoded.scope
        self.names = names
        self._known: dict[str, Flags | None] = {}

    def of(self, name: str) -> Flags | None:
        """Which records are of this sender; None if none is."""
        if name not in self._known:
            found = [self._fitting(match) for match in self._matches[name]]
            some = [flags for flags in found if flags is not None]
            self._known[name] = reduce(np.logical_or, some) if some else None
        return self._known[name]

    def _fitting(self, match: Match) -> Flags | None:
        flags = None
        if match.scope:
            of_scope = fits(self._scopes, match.scope)
            if not of_scope.any():
                return None
            flags = of_scope[self._scope]
        if match.name:
            named = fits(self.names, match.name)
            flags = named if flags is None else flags & named
        return flags if flags is not None and flags.any() else None
