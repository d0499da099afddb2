"""Expressions on single texts of any length: what Python's `re` does for most, RE2 for the rest."""

import re
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

_LONG = 256
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Expression:
    """An expression that RE2, Go and Python read alike.

    Python's takes the square of a text's length where it begins anew at each character, and RE2's
    costs a call into Arrow; so short texts are for the one and long texts for the other.
    """

    pattern: str

    def found_in(self, text: str) -> bool:
        """Whether the text has a match."""
        if len(text) <= _LONG:
            return self._python.search(text) is not None
        return bool(pc.match_substring_regex(_arrow(text), self.pattern)[0].as_py())

    def replaced(self, text: str, by: str) -> str:
        """The text with `by` in place of every match."""
        if len(text) <= _LONG:
            return self._python.sub(lambda _: by, text)
        replaced = pc.replace_substring_regex(_arrow(text), self.pattern, by)
        return str(replaced[0].as_py())

    @cached_property
    def _python(self) -> re.Pattern[str]:
        """With RE2's meaning of classes, and of `$`, which is never before a line break."""
        return re.compile(re.sub(r"\$$", r"\\Z", self.pattern), re.ASCII)


def sound(text: str) -> str:
    """Half a surrogate pair, which JSON can spell and UTF-8 cannot, as Go reads it."""
    return text if text.isascii() else _HALF_PAIR.sub("\ufffd", text)


def _arrow(text: str) -> pa.Array:
    return pa.array([sound(text)], pa.string())
