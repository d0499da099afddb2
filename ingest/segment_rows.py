"""One closed segment on its way into the lake: records in, rows out, a few megabytes at a time."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from ingest.decode import Decoded, Signal, decode
from ingest.ledger import HOUR_SECONDS, Settlement
from ingest.limits import Labels
from ingest.metric_rows import metric_rows
from ingest.privacy.rows import Screen
from ingest.record import Record
from ingest.rows import log_rows, span_rows
from ingest.segments import Segment, read_records
from lake import AttributeMap

ROWS_OF: Mapping[Signal, Callable[[Decoded, AttributeMap], Iterator[pa.Table]]] = {
    "traces": span_rows,
    "logs": log_rows,
    "metrics": metric_rows,
}
PART_BYTES = 4 * 1024 * 1024
"""Of requests decoded together: enough to work on columns, little enough to hold in memory."""

_Numbered = tuple[int, Record]

_log = structlog.get_logger()


class SegmentRows:
    """The rows of a segment. What else there is to say of it is known once `parts` has ended."""

    def __init__(
        self,
        signal: Signal,
        segment: Segment,
        mapping: AttributeMap,
        labels: Labels,
        keep_content_for: Collection[str] = (),
    ) -> None:
        self.segment = segment
        self.screen = Screen(keep_content_for)
        self.digests: list[bytes] = []
        self.damage: str | None = None
        """What of the segment could not be read or decoded, and why."""
        self._damages = 0
        self._signal = signal
        self._mapping = mapping
        self._labels = labels
        self._stored: Counter[int] = Counter()

    def parts(self) -> Iterator[pa.Table]:
        """The rows of every record that can be decoded; one poisoned does not stop the rest."""
        for records in self._batches():
            for rows in self._rows(records):
                self._stored.update(_by_hour(rows))
                yield rows

    def settlement(self) -> Settlement:
        """For the ledger: how many rows there are, by the hour of their reception."""
        return Settlement(
            self.segment.sequence, dict(self._stored), damaged=self.damage is not None
        )

    def _batches(self) -> Iterator[list[_Numbered]]:
        """The whole records of the segment, those of a part together."""
        batch: list[_Numbered] = []
        size = 0
        whole = read_records(self.segment.path, on_damage=lambda damage: self._note(str(damage)))
        for number, record in enumerate(whole, start=1):
            self.digests.append(record.digest)
            batch.append((number, record))
            size += len(record.request)
            if size >= PART_BYTES:
                yield batch
                batch, size = [], 0
        yield batch

    def _rows(self, records: Sequence[_Numbered]) -> Iterator[pa.Table]:
        """The rows of these records; where one spoils the others, of each half by itself."""
        if not records:
            return
        try:
            parts = list(self._decoded([record for _, record in records]))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the record is kept in quarantine
            if len(records) == 1:
                self._note(f"record {records[0][0]} cannot be decoded: {error!r}")
                return
            _log.warning("writer.decoding_in_halves", signal=self._signal, reason=repr(error))
            half = len(records) // 2
            yield from self._rows(records[:half])
            yield from self._rows(records[half:])
        else:
            yield from parts

    def _decoded(self, records: Sequence[Record]) -> Iterator[pa.Table]:
        requests = [bytes(record.request) for record in records]
        received = [record.received_unix_nano for record in records]
        decoded = decode(self._signal, requests, received)
        for rows in ROWS_OF[self._signal](decoded, self._mapping):
            yield self.screen.screened(self._labels.bounded(rows))

    def _note(self, damage: str) -> None:
        """The first in words, of others the number: there may be thousands."""
        self._damages += 1
        first = damage if self.damage is None else self.damage.partition(", and ")[0]
        self.damage = first if self._damages == 1 else f"{first}, and {self._damages - 1} more"


def can_be_decoded(signal: Signal, record: Record, mapping: AttributeMap) -> bool:
    """Whether the rows of a record come into the lake: what tells `SegmentRows` to set it aside."""
    try:
        decoded = decode(signal, [bytes(record.request)], [record.received_unix_nano])
        for _ in ROWS_OF[signal](decoded, mapping):
            pass
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as `SegmentRows` does
        return False
    return True


def _by_hour(rows: pa.Table) -> dict[int, int]:
    seconds = pc.divide(rows["received_at"].cast(pa.int64()), 1_000_000)
    counted = pc.value_counts(pc.divide(seconds, HOUR_SECONDS))
    return {each["values"]: each["counts"] for each in counted.to_pylist()}
