"""Names of spans that are content: some instrumentations call a span by what was asked."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.privacy.shape import Flags
from ingest.privacy.table import content_table, pattern_of
from ingest.vectors import matches


def without_titles(names: pa.Array, scopes: pa.Array, kept: Flags) -> pa.Array:
    """The names of spans, those that are content by what is left of them, but in `kept` rows."""
    encoded = scopes.dictionary_encode()
    for rule in content_table().span_names:
        of_scope = matches(encoded.dictionary, _pattern(rule.scope))
        if not pc.any(of_scope).as_py():
            continue
        ours = to_numpy(pc.fill_null(of_scope.take(encoded.indices), fill_value=False), np.bool_)
        titled = to_numpy(pc.fill_null(matches(names, _pattern(rule.name)), False), np.bool_)
        names = pc.if_else(pa.array(ours & titled & ~kept), rule.left, names)
    return names


@cache
def _pattern(name: str) -> str:
    return pattern_of([name])
