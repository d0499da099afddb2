"""What looks like content under names that nobody has listed, behind the table of those that are.

Counts, states and ids have names of the same words. So a value that is nothing but numbers is never
content, and one word only where the name leaves no doubt.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.decode import Index, to_numpy
from ingest.privacy.words import Look
from ingest.vectors import matches

Flags = npt.NDArray[np.bool_]

_NUMBERS = (
    r"^(?:[\s,:\[\]{}]|[+-]?\d[\d.eE+-]*|[tT]rue|[fF]alse|null|None|NaN"
    r"""|"[\w.-]*"\s*:|'[\w.-]*'\s*:)*$"""
)
_ONE_WORD = r"""^[\w.:/@%+~"'-]{0,128}$"""


def looking_like_content(
    values: pa.Array, looks: npt.NDArray[np.uint8], owners: Index, agentic: Flags
) -> Flags:
    """Which values look like content.

    `looks` are those of their names; owners in `agentic` are agent work, so that names without a
    namespace are theirs.
    """
    flags = np.zeros(len(values), np.bool_)
    told = looks & (Look.CERTAIN | Look.LIKELY) > 0
    if not told.any():
        return flags
    ours = looks & Look.OURS > 0
    if agentic.any():
        ours |= agentic[owners] & (looks & Look.OTHER == 0)
    found = np.flatnonzero(told & ours)
    texts = values.take(pa.array(found))
    likely = looks[found] & Look.LIKELY > 0
    harmless = to_numpy(matches(texts, _NUMBERS), np.bool_)
    harmless |= likely & to_numpy(matches(texts, _ONE_WORD), np.bool_)
    flags[found] = ~harmless & to_numpy(texts.is_valid(), np.bool_)
    return flags
