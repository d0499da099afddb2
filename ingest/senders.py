"""Which library sent each record, where the mapping makes a difference."""

import re
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded, to_numpy
from ingest.pairs import Flags, fits
from lake.mapping import AttributeMap, Match

_RELEASE = re.compile(r"\d{1,9}(\.\d{1,9})*")


class Senders:
    """Asked by name; only what is asked for is computed."""

    def __init__(self, mapping: AttributeMap, decoded: Decoded, names: pa.Array) -> None:
        self._matches = {sender.name: sender.match for sender in mapping.senders}
        self._scopes = pc.struct_field(decoded.scopes, "name")
        self._versions = pc.struct_field(decoded.scopes, "version")
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
            if match.before and of_scope.any():
                of_scope &= self._older(of_scope, match.before)
            if match.since and of_scope.any():
                of_scope &= ~self._older(of_scope, match.since)
            if not of_scope.any():
                return None
            flags = of_scope[self._scope]
        if match.name:
            named = fits(self.names, match.name)
            flags = named if flags is None else flags & named
        return flags if flags is not None and flags.any() else None

    def _older(self, of_scope: Flags, before: str) -> Flags:
        """Which versions are before this one, among those of the scopes that are asked about."""
        told = pc.unique(self._versions.filter(pa.array(of_scope))).to_pylist()
        older = [version for version in told if _release(version) < _release(before)]
        return to_numpy(pc.is_in(self._versions, pa.array(older, pa.string())), np.bool_)


def _release(version: str | None) -> tuple[float, ...]:
    """The numbers a version begins with; one that does not tell them is taken for the newest."""
    found = _RELEASE.match(version or "")
    return tuple(map(int, found.group().split("."))) if found else (float("inf"),)
