"""Starts the keeper (`ingest.keep`) as a process of its own, never two at a time."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import structlog

_THOROUGH_EVERY_SECONDS = 3600.0
_END_SECONDS = 5.0

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class KeeperSettings:
    """What is kept of `data`, the sidecar's directory, and for how long.

    Days older than `retention_days` (UTC, by the row's own time) are deleted, those of a tenant
    in `tenant_retention_days` already when they are older than that; None keeps all. `thorough`
    is the hourly round; without it only small files are merged.
    """

    data: Path
    retention_days: int | None = None
    tenant_retention_days: Mapping[str, int] = field(default_factory=dict)
    thorough: bool = True

    def to_json(self) -> str:
        """What `python -m ingest.keep` takes."""
        return json.dumps(asdict(self) | {"data": str(self.data)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings that `to_json` wrote."""
        told = json.loads(text)
        return cls(**told | {"data": Path(told["data"])})


class Keeper:
    """The writer's hand on the keeper's process. A round that fails is logged and comes again."""

    def __init__(self, settings: KeeperSettings, every_commits: int) -> None:
        self._settings = settings
        self._every_commits = every_commits
        self._kept_at_commit = 0
        self._thorough_at = float("-inf")
        self._process: subprocess.Popen[bytes] | None = None

    def look_after(self, commits: int) -> None:
        """Start a round if one is due, `commits` having been made so far, and none is running."""
        if self._is_running():
            return
        now = time.monotonic()
        thorough = now - self._thorough_at >= _THOROUGH_EVERY_SECONDS
        if thorough or commits - self._kept_at_commit >= self._every_commits:
            self._kept_at_commit = commits
            self._thorough_at = now if thorough else self._thorough_at
            told = replace(self._settings, thorough=thorough).to_json()
            self._process = subprocess.Popen(  # noqa: S603 - our own module and settings
                (sys.executable, "-m", "ingest.keep", told), stdin=subprocess.DEVNULL
            )

    def close(self) -> None:
        """End a round that is still running: it leaves nothing half done."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_running(self) -> bool:
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        if code:
            _log.error("keeper.ended", exit_code=code)
        self._process = None
        return False
