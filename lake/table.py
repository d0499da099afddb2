"""Delta tables as the lake uses them: append exactly once, compact, sweep, snapshot.

What reads and writes Parquet is imported where it is used: who only asks does without its 10 MB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from lake.checkpoints import drop_unreadable, write_checkpoint
from lake.column import TableSchema
from lake.commits import BARE, CHECKPOINT_EVERY, commit, finish, make_durable
from lake.cut_off import drop_cut_off, has_rows
from lake.damage import damage_of_log
from lake.file_format import BY_DELTA, TARGET_FILE_BYTES
from lake.live_files import DayFile, days_of, live_files, path_of
from lake.paths import unusable
from lake.schema import TABLES
from lake.snapshot import Snapshot
from lake.to_disk import sync
from lake.younger import has_same_columns, misfit

# The Delta transaction application whose version is the journal position.
APPLICATION = "quietpager-ingest"

# Stands for the version of a table that cannot be opened.
UNREADABLE = -1

# Fewer small files than this in a day are not worth a rewrite.
MERGE_FROM_FILES = 8
# Files no version refers to any more are kept this long: longer than any query may take.
SWEEP_GRACE_HOURS = 1

# Delta keeps time statistics in milliseconds, cut off: a row may be this much later than `max`.
_STATISTICS_RESOLUTION = timedelta(milliseconds=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC) + _STATISTICS_RESOLUTION


class LakeError(Exception):
    """The lake cannot be used as asked; the message names the table and the remedy."""


class DamagedTable(LakeError):  # noqa: N818 - it names what is the case
    """A table whose log cannot be read; the message names the file of it and the remedy."""


class RemovalConflict(LakeError):  # noqa: N818 - nothing is wrong; it has to be tried again
    """Rows were appended to the day meanwhile; nothing was removed. Try again."""


@dataclass(frozen=True)
class CompactReport:
    """How many files a compaction replaced by how many."""

    files_removed: int
    files_added: int


@dataclass(frozen=True)
class Lake:
    """The Delta tables under `root`, one directory per table of `lake.schema.TABLES`."""

    root: Path

    def __post_init__(self) -> None:
        """Raises LakeError for a path that Delta's library would panic at or take for another."""
        if reason := unusable(self.root):
            raise LakeError(reason)

    def append(self, table: str, rows: pa.Table | pa.RecordBatchReader, position: int) -> bool:
        """Commit `rows` together with the journal `position` they end at, and make both durable.

        Returns False, writing nothing, if `position` or a later one was committed before: calling
        again after a crash neither loses nor doubles a row. A reader is read as it is written, so
        that its rows need not be in memory together. Raises LakeError when the columns are not
        those of the contract, or do not fit the table that another version wrote.
        """
        schema = _schema_of(table)
        if not rows.schema.equals(schema.arrow):
            raise LakeError(f"rows for lake table {table!r} do not have its columns: {rows.schema}")
        delta = self.open(table) or self._create(schema)
        if position <= committed_position(delta):
            return False
        if reason := misfit(schema, delta):
            raise LakeError(f"{self._path(table)} {reason}")
        if delta.version() == 0:  # before rows come, whoever made it
            make_durable(delta, 0)
            sync(self.root.absolute().parent)
        properties = CommitProperties(app_transactions=[Transaction(APPLICATION, position)])
        if has_same_columns(schema, delta):
            from lake.day_files import write_files

            batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
            files = write_files(path_of(delta), schema.arrow, schema.time, batches)
            commit(delta, files, properties=properties)
        else:  # the first rows after an upgrade, or all after a downgrade
            begun_at = delta.version()
            write_deltalake(
                delta, rows, mode="append", schema_mode="merge",
                writer_properties=BY_DELTA, commit_properties=properties,
                post_commithook_properties=BARE,
            )  # fmt: skip
            finish(delta, begun_at)
        return True

    def position(self, table: str) -> int:
        """The journal position of the last commit; 0 when nothing was committed."""
        delta = self.open(table)
        return 0 if delta is None else committed_position(delta)

    def versions(self) -> Mapping[str, int]:
        """The present version of every table that exists; `UNREADABLE` for a damaged one."""
        found: dict[str, int] = {}
        for name in TABLES:
            try:
                if (delta := self.open(name)) is not None:
                    found[name] = delta.version()
            except DamagedTable:
                found[name] = UNREADABLE
        return found

    def snapshot(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        versions: Mapping[str, int] | None = None,
    ) -> Snapshot:
        """The present version of every table, cut to rows with `since <= time < until`.

        Files outside the range are left out by their day and their time statistics. `since` and
        `until` must carry a time zone. With `versions`, as `versions()` gave them a moment ago, it
        is the lake of that moment. A damaged table does not keep the others from being read: to
        ask it is an error, see `Snapshot.attach`.
        """
        for bound in (since, until):
            if bound is not None and bound.tzinfo is None:
                raise LakeError(f"time {bound} has no time zone; add one, such as {bound}+00:00")
        read: dict[str, int] = {}
        files: dict[str, tuple[str, ...]] = {}
        damaged: dict[str, str] = {}
        for schema in TABLES.values():
            if versions is not None and schema.name not in versions:
                continue
            try:
                delta = self.open(schema.name, versions[schema.name] if versions else None)
            except DamagedTable as damage:
                damaged[schema.name] = str(damage)
                continue
            if delta is not None:
                read[schema.name] = delta.version()
                files[schema.name] = _files(delta, schema, since, until)
        if not any(files.values()):
            since = until = None  # nothing to cut: one empty range is like another
        return Snapshot(read, files, since, until, damaged)

    def compact(self, table: str) -> CompactReport:
        """Merge the small files of every day that has at least `MERGE_FROM_FILES` of them.

        A day that cannot be read does not keep the others from it; LakeError names it afterwards.
        """
        from lake.compaction import groups_of, merge

        delta = self.open(table)
        if delta is None:
            return CompactReport(0, 0)
        removed = added = 0
        failures: list[str] = []
        for day, files in days_of(delta).items():
            if sum(file.size_bytes < TARGET_FILE_BYTES for file in files) < MERGE_FROM_FILES:
                continue
            try:
                for group in groups_of(files, TARGET_FILE_BYTES):
                    merge(delta, _schema_of(table).time, day, group)
                    added += 1
                    removed += len(group)
            except (DeltaError, OSError, pa.ArrowException) as error:
                failures.append(f"day {day}: {error}")
        if failures:
            raise LakeError(
                f"{self._path(table)} cannot be compacted, {'; '.join(failures)}; "
                "restore the file from a backup; it stays readable meanwhile but for that file"
            )
        return CompactReport(removed, added)

    def days(self, table: str) -> Mapping[date, tuple[DayFile, ...]]:
        """The files of every day that has rows, earliest day first."""
        delta = self.open(table)
        return {} if delta is None else days_of(delta)

    def sweep(self, table: str, grace_hours: int = SWEEP_GRACE_HOURS) -> int:
        """Delete files that no version has referred to for `grace_hours`; returns how many.

        They are left by compaction, expiry and writes that failed half-way. Old log entries go
        with them.
        """
        delta = self.open(table)
        if delta is None:
            return 0
        begun_at = delta.version()
        make_durable(delta, begun_at)
        swept = delta.vacuum(
            retention_hours=grace_hours,
            dry_run=False,
            enforce_retention_duration=False,
            post_commithook_properties=BARE,
            full=True,
        )
        make_durable(delta, begun_at)
        write_checkpoint(delta)
        delta.cleanup_metadata()
        return len(swept)

    def mend(self, table: str) -> list[Path]:
        """Delete what a power cut has left of checkpoints, where the log tells all without them,
        and of the newest entry, on which nothing rests.

        Returns the files. Who appends calls it before it begins: the table could not be opened.
        """
        path = self._path(table)
        log = path / "_delta_log"
        try:
            self.open(table)
        except DamagedTable:
            dropped = drop_cut_off(path)
            return [*dropped, *(self.mend(table) if dropped else drop_unreadable(log))]
        except LakeError:
            pass  # nothing that can be put right here
        return []

    def _path(self, table: str) -> Path:
        # What begins like "s3:" is no path to Delta's library, unless it is absolute.
        return self.root.absolute() / _schema_of(table).name

    def open(self, table: str, version: int | None = None) -> DeltaTable | None:
        """The Delta table itself, for the modules of this room; None before its first row."""
        path = self._path(table)
        if not DeltaTable.is_deltatable(str(path)):
            if has_rows(path):
                raise DamagedTable(
                    f"{path / '_delta_log'}: is missing, and says which of the Parquet files "
                    "beside it count; restore it from a backup, or move the table's directory away"
                )
            return None
        try:
            delta = DeltaTable(path, version=None if version == UNREADABLE else version)
        except DeltaError as error:
            raise DamagedTable(damage_of_log(path, error)) from error
        if "deletionVectors" in (delta.protocol().reader_features or ()):
            raise LakeError(
                f"{path} has deletion vectors, which Quietpager does not read; "
                "run REORG TABLE ... APPLY (PURGE) with the engine that wrote them"
            )
        return delta

    def _create(self, schema: TableSchema) -> DeltaTable:
        return DeltaTable.create(
            self._path(schema.name),
            schema.arrow,
            name=schema.name,
            description=schema.meaning,
            partition_by=["day"],
            configuration={
                "delta.dataSkippingStatsColumns": schema.time,
                "delta.checkpointInterval": str(CHECKPOINT_EVERY),
                "delta.logRetentionDuration": "interval 1 days",
            },
        )


def _schema_of(table: str) -> TableSchema:
    try:
        return TABLES[table]
    except KeyError:
        raise LakeError(f"no lake table {table!r}; there are {', '.join(TABLES)}") from None


def committed_position(delta: DeltaTable) -> int:
    """The journal position that this version of the table ends at; 0 before the first."""
    return delta.transaction_version(APPLICATION) or 0


def _files(
    delta: DeltaTable, schema: TableSchema, since: datetime | None, until: datetime | None
) -> tuple[str, ...]:
    predicates: list[tuple[str, str, date]] = []
    if since is not None:
        predicates += [
            ("day", ">=", since.astimezone(UTC).date()),
            (schema.time, ">=", max(since, _EARLIEST) - _STATISTICS_RESOLUTION),
        ]
    if until is not None:
        predicates += [("day", "<=", until.astimezone(UTC).date()), (schema.time, "<", until)]
    return live_files(delta, predicates)
