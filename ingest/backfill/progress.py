"""How far each file is imported, known by its content: a moved, renamed or grown file goes on.

One small JSON file per imported file under `state/imports/` says up to which byte of the content
everything is acknowledged, with the digest of all bytes up to there. Only a file that begins with
exactly those bytes goes on behind them; one that differs in any of them begins at its beginning.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ingest.backfill.content import Content

_HEAD_BYTES = 1024
_CHUNK_BYTES = 1024 * 1024
_VERSION = 1


@dataclass
class Tally:
    """Records of one signal in one file: sent now, acknowledged by an earlier run, refused."""

    accepted: int = 0
    before: int = 0
    refused: int = 0


@dataclass
class Progress:
    """A file is acknowledged up to byte `offset` of its content, `line` lines.

    `clock` is the time (unix ns) that a line without one follows; `tallies` are by signal.
    """

    offset: int = 0
    line: int = 0
    clock: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    head: bytes = b""
    path: Path | None = None

    def advance(self, raw: bytes) -> None:
        """`raw` is the next of the content that needs no more reading."""
        if (missing := _HEAD_BYTES - len(self.head)) > 0:
            self.head += raw[:missing]
        self.offset += len(raw)
        self.digest.update(raw)

    def tally(self, signal: str) -> Tally:
        """The counts of a signal, to be added to."""
        return self.tallies.setdefault(signal, Tally())


class ProgressStore:
    """The progress of every file imported into one data directory."""

    def __init__(self, data: Path) -> None:
        self._directory = data / "state" / "imports"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._documents = dict(_readable(self._directory))

    def find(self, file: BinaryIO, form: str) -> Progress:
        """How far the content of `file` was imported as `form`; reads it up to there.

        What earlier runs acknowledged is in the tallies as `before`, what they had refused as
        `refused`.
        """
        return self._longest(Content.of(file), form)

    def save(self, progress: Progress, form: str) -> None:
        """Remember, so that a crash at any time leaves what is saved before or now."""
        if progress.path is None:
            progress.path = self._directory / f"{os.urandom(8).hex()}.json"
        document = self._documents[progress.path] = {
            "version": _VERSION,
            "format": form,
            "offset": progress.offset,
            "digest": progress.digest.hexdigest(),
            "head": [len(progress.head), _digest(progress.head)],
            "line": progress.line,
            "clock": progress.clock,
            "sent": {
                signal: {"accepted": tally.accepted + tally.before, "refused": tally.refused}
                for signal, tally in progress.tallies.items()
            },
        }
        partial = progress.path.with_suffix(".partial")
        partial.write_bytes(orjson.dumps(document))
        partial.replace(progress.path)

    def _longest(self, content: Content, form: str) -> Progress:
        saved = sorted(self._saved(content.head, form), key=lambda each: each[0]["offset"])
        found, reached = Progress(), Progress()
        for document, path in saved:
            while (missing := document["offset"] - reached.offset) > 0:
                chunk = content.stream.read(min(missing, _CHUNK_BYTES))
                if not chunk:
                    return found
                reached.advance(chunk)
            if reached.digest.hexdigest() == document["digest"]:
                found = _restored(document, path, reached)
        return found

    def _saved(self, head: bytes, form: str) -> Iterator[tuple[dict[str, Any], Path]]:
        """What was saved of files in the same format that begin alike."""
        for path, document in self._documents.items():
            length, digest = document["head"]
            if document["format"] == form and _digest(head[:length]) == digest:
                yield document, path


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _readable(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What a power cut emptied is passed over: the views count once what is sent again."""
    for path in directory.glob("*.json"):
        try:
            document = orjson.loads(path.read_bytes())
            if document["version"] == _VERSION:
                yield path, document
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue


def _restored(document: dict[str, Any], path: Path, reached: Progress) -> Progress:
    return replace(
        reached,
        digest=reached.digest.copy(),
        line=document["line"],
        clock=document["clock"],
        tallies={
            signal: Tally(before=sent["accepted"], refused=sent["refused"])
            for signal, sent in document["sent"].items()
        },
        path=path,
    )
