"""Shapes that traces of agents have, each with what is right to conclude from it.

One builder per shape; the files group them. `test_corpus.py` sends every shape in several ways and
holds the views to its expectation.
"""

from tests.analytics.corpus import (
    attempts,
    broken,
    duplicates,
    endings,
    frameworks,
    identity,
    nesting,
    siblings,
    tools,
    trees,
)
from tests.analytics.corpus.shape import SHAPES

__all__ = [
    "SHAPES",
    "attempts",
    "broken",
    "duplicates",
    "endings",
    "frameworks",
    "identity",
    "nesting",
    "siblings",
    "tools",
    "trees",
]
