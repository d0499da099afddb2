"""Memory and processor time of a process and everything it started (Linux, from /proc)."""

import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.5
MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """Bytes at one moment: resident per role, and the sum of proportional sets.

    Pages that processes share count in the resident set of each, but once in the proportional.
    """

    at: float
    rss: Mapping[str, int]
    pss: int


@dataclass
class Footprint:
    """Samples of a time, and seconds of processor time that each role took in it."""

    samples: list[Sample] = field(default_factory=list)
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def peak_rss_mb(self) -> float:
        """The largest sum of all processes at one moment, in MiB."""
        return max(sum(sample.rss.values()) for sample in self.samples) / MIB

    @property
    def median_rss_mb(self) -> float:
        """The sum of all processes half of the time, in MiB."""
        return _median_rss(self.samples)

    @property
    def peak_pss_mb(self) -> float:
        """The largest sum of proportional sets at one moment, in MiB."""
        return max(sample.pss for sample in self.samples) / MIB

    @property
    def median_pss_mb(self) -> float:
        """The sum of proportional sets half of the time, in MiB."""
        return statistics.median(sample.pss for sample in self.samples) / MIB

    @property
    def peak_rss_mb_by_role(self) -> Mapping[str, float]:
        """The most that each role had, not necessarily at the same moment, in MiB."""
        peaks: dict[str, float] = {}
        for sample in self.samples:
            for role, rss in sample.rss.items():
                peaks[role] = max(peaks.get(role, 0.0), rss / MIB)
        return peaks

    @property
    def rss_growth(self) -> float:
        """Median of the last third over that of the first, warm-up (a tenth) left out.

        1.0 is flat.
        """
        warm = self.samples[len(self.samples) // 10 :]
        third = max(1, len(warm) // 3)
        return _median_rss(warm[-third:]) / _median_rss(warm[:third])

    @property
    def total_cpu_seconds(self) -> float:
        """Processor time of all processes together."""
        return sum(self.cpu_seconds.values())

    @property
    def cpu_percent(self) -> float:
        """All processes together, in percent of one core."""
        return 100 * self.total_cpu_seconds / self.seconds


@contextmanager
def watched(pid: int) -> Iterator[Footprint]:
    """Sample the process `pid` and its descendants while the block runs."""
    footprint = Footprint()
    stop = threading.Event()

    def watch() -> None:
        while True:
            footprint.samples.append(_sample(pid))
            if stop.wait(SAMPLE_SECONDS):
                return

    before, started = _cpu_seconds(pid), time.monotonic()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield footprint
    finally:
        stop.set()
        watcher.join()
        after = _cpu_seconds(pid)
        footprint.seconds = time.monotonic() - started
        footprint.cpu_seconds = {role: after[role] - before.get(role, 0.0) for role in after}


def _median_rss(samples: list[Sample]) -> float:
    return statistics.median(sum(sample.rss.values()) for sample in samples) / MIB


def _sample(pid: int) -> Sample:
    rss: dict[str, int] = defaultdict(int)
    pss = 0
    for process in _family(pid):
        try:
            resident = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
            role = _role(process, pid)
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended in between
        rss[role] += resident
        pss += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    return Sample(time.monotonic(), dict(rss), pss)


def _cpu_seconds(pid: int) -> dict[str, float]:
    """User and system time so far; what children that have ended took stands as theirs."""
    spent: dict[str, float] = defaultdict(float)
    for process in _family(pid):
        try:
            role = _role(process, pid)
            stat = Path(f"/proc/{process}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own_user, own_system, ended_user, ended_system = map(
            int, stat.rpartition(")")[2].split()[11:15]
        )
        spent[role] += (own_user + own_system) / _TICKS
        if role == "writer":
            spent["keeper"] += (ended_user + ended_system) / _TICKS
    return dict(spent)


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*"):
            try:
                found += map(int, (task / "children").read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _role(pid: int, of: int) -> str:
    """What the process does among the descendants of `of`; what comes and goes is the keeper."""
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")  # empty once it has ended
    if "cli.process" in command:
        return command[command.index("cli.process") + 1]
    return "supervisor" if pid == of else "keeper"
