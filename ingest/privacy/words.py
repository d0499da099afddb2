"""What the words of a name say about its value, for names that are in no list."""

import re
from enum import IntFlag

from ingest.privacy.table import content_table

_SEGMENTS = re.compile(r"[.:/]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Look(IntFlag):
    """What a name looks like."""

    CERTAIN = 8
    """It ends as names of content do."""
    LIKELY = 16
    """It may be content, or the state of something."""
    OURS = 32
    """It is of a namespace of agent telemetry."""
    OTHER = 64
    """It is of a namespace of something else."""
    FAILURE = 128
    """It is about a failure."""


def look_of(name: str) -> Look:
    """What the name looks like; takes time by its length, whatever it is."""
    shape = content_table().shape
    segments = _SEGMENTS.split(name)
    words = _words(name)
    look = Look(0)
    if not shape.failures.isdisjoint(words):
        look |= Look.FAILURE
    if _in_namespace(segments):
        look |= Look.OURS
    elif segments[0].lower() in shape.others:
        look |= Look.OTHER
    while words and (words[-1].isdigit() or words[-1] in shape.behind):
        words.pop()
    if not words or (words == ["message"] and len(segments) == 1):
        return look  # what a line of a log says
    *before, last = words
    if last in shape.certain:
        return look | Look.CERTAIN
    likely = last in shape.likely or (last in shape.of_tools and not shape.tools.isdisjoint(before))
    return look | Look.LIKELY if likely and Look.FAILURE not in look else look


def _in_namespace(segments: list[str]) -> bool:
    """Whether a part of the name is of agent telemetry; its last word by itself is no namespace."""
    namespaces = content_table().shape.namespaces
    if any(segment.lower() in namespaces for segment in segments[:-1]):
        return True
    return any(len(words) > 1 and words[0] in namespaces for words in map(_words, segments))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
