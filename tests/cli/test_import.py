"""`quietpager import`: every record of a file once, whatever happens in between."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics import Analytics
from cli.commands.backfill import FORMATS, SIGNALS
from ingest import FileFormat, sole
from ingest.backfill.signals import REQUESTS
from lake import Lake
from tests.cli.running import quietpager
from tests.ingest.batches import logs, span_ids, spans
from tests.sidecar import COMMAND, ENVIRONMENT, Sidecar, start_sidecar

SPANS_PER_MESSAGE = 50


def ids_in(requests: list[ExportTraceServiceRequest]) -> set[str]:
    """The span ids of all requests, in hex."""
    return {span_id.hex() for request in requests for span_id in span_ids(request)}


def prefixed(requests: list[ExportTraceServiceRequest]) -> bytes:
    """As the collector's file exporter writes protobuf."""
    messages = [request.SerializeToString() for request in requests]
    return b"".join(len(m).to_bytes(4, "big") + m for m in messages)


def once_each(data: Path, view: str = "spans", column: str = "span_id") -> set[str]:
    """The values of a column of a view, after seeing that each is there exactly once."""
    rows = Analytics(Lake(data / "lake")).query(f"SELECT {column} AS x FROM {view}").to_pylist()
    counts = Counter(row["x"] for row in rows)
    assert [value for value, times in counts.items() if times != 1] == []
    return set(counts)


def rows_in_lake(data: Path, table: str) -> int:
    """Rows as they are stored, before the views count a record once."""
    with duckdb.connect() as connection:
        Lake(data / "lake").snapshot().attach(connection)
        (count,) = connection.sql(f"SELECT count(*) FROM lake_{table}").fetchall()[0]
    return int(count)


def forget(data: Path) -> None:
    """As days later on another host: no progress of imports, no digests of batches."""
    shutil.rmtree(data / "state" / "imports")
    for directory in (data / "journal").glob("*/digests"):
        shutil.rmtree(directory)


def log_lines(count: int) -> bytes:
    """Lines of structlog, one a second, every tenth followed by one that is no JSON."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    lines = []
    for number in range(count):
        time_ = (begin + timedelta(seconds=number)).isoformat()
        lines.append(json.dumps({"event": f"step {number}", "level": "info", "timestamp": time_}))
        if number % 10 == 0:
            lines.append(f"Traceback of step {number}")
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_file_comes_in_once_however_often(tmp_path: Path) -> None:
    """Imported twice a file adds nothing; without the state of the first run, neither."""
    data = tmp_path / "data"
    requests = [spans(SPANS_PER_MESSAGE) for _ in range(5)]
    (tmp_path / "spans.bin").write_bytes(prefixed(requests))
    (tmp_path / "agent.jsonl").write_bytes(log_lines(100))
    files = (str(tmp_path / "spans.bin"), str(tmp_path / "agent.jsonl"))

    first = quietpager("import", *files, "--data", str(data))
    assert (first.returncode, first.stderr) == (0, "")
    assert counts(first.stdout) == [["traces", 250, 0, 0], ["logs", 110, 0, 0]]
    logged = once_each(data, "logs", "log_id")
    assert (once_each(data), len(logged)) == (ids_in(requests), 110)

    again = quietpager("import", *files, "--data", str(data))
    assert counts(again.stdout) == [["traces", 0, 250, 0], ["logs", 0, 110, 0]]
    assert rows_in_lake(data, "spans") == 250, "nothing was even sent"

    forget(data)
    much_later = quietpager("import", *files, "--data", str(data))
    assert counts(much_later.stdout) == [["traces", 250, 0, 0], ["logs", 110, 0, 0]]
    assert (rows_in_lake(data, "spans"), rows_in_lake(data, "logs")) == (500, 220)
    assert once_each(data) == ids_in(requests)
    assert once_each(data, "logs", "log_id") == logged


def counts(summary: str) -> list[list[str | int]]:
    """Signal, accepted, already there and refused of each line of the summary."""
    lines = [line.split()[-4:] for line in summary.splitlines()[2:]]
    return [[line[0], *(int(figure.replace(",", "")) for figure in line[1:])] for line in lines]


def test_a_grown_or_moved_file_goes_on(tmp_path: Path) -> None:
    """Only what was added to a file is sent, also under another name; another file is another."""
    data, content = tmp_path / "data", log_lines(50)
    path = tmp_path / "agent.jsonl"
    path.write_bytes(content[:2000])
    cut = quietpager("import", str(path), "--data", str(data))
    whole_lines = content[:2000].count(b"\n")
    assert cut.returncode == 1
    assert f"agent.jsonl: line {whole_lines + 1}: the file ends inside a line" in cut.stderr

    moved = path.rename(tmp_path / "agent.jsonl.1")
    moved.write_bytes(content)
    options = ("--data", str(data), "--log-path", str(path))
    grown = quietpager("import", str(moved), *options)
    assert grown.returncode == 0
    total = content.count(b"\n")
    assert counts(grown.stdout) == [["logs", total - whole_lines, whole_lines, 0]]
    assert len(once_each(data, "logs", "log_id")) == total

    moved.write_bytes(content.replace(b"step 0", b"step X"))
    other = quietpager("import", str(moved), *options)
    assert counts(other.stdout) == [["logs", total, 0, 0]]


def test_a_line_is_numbered_from_the_beginning_of_its_file(tmp_path: Path) -> None:
    """Also by an import that goes on where another ended, so that it can be looked up."""
    data, content = tmp_path / "data", log_lines(50)
    path = tmp_path / "agent.jsonl"
    for written in (2000, 3000):
        path.write_bytes(content[:written])

        cut = quietpager("import", str(path), "--data", str(data))

        number = content[:written].count(b"\n") + 1
        assert f"agent.jsonl: line {number}: the file ends inside a line" in cut.stderr


def test_through_a_running_sidecar(tmp_path: Path) -> None:
    """With a sidecar on the data directory its receiver is used, and the reader sees the rows."""
    sidecar = start_sidecar(tmp_path / "data")
    try:
        requests = [spans(SPANS_PER_MESSAGE) for _ in range(3)]
        path = tmp_path / "spans.zst"
        path.write_bytes(zstandard.compress(prefixed(requests)))
        done = quietpager("import", str(path), *on(sidecar))
        assert (done.returncode, done.stderr) == (0, "")
        assert counts(done.stdout) == [["traces", 150, 0, 0]]
        wait_for_spans(sidecar.data, 150)
        assert once_each(sidecar.data) == ids_in(requests)
    finally:
        sidecar.end()


def on(sidecar: Sidecar) -> tuple[str, ...]:
    """Options that name the sidecar and its data."""
    address = sidecar.endpoints["OTLP/HTTP"].removeprefix("http://")
    return ("--data", str(sidecar.data), "--otlp-http", address)


def wait_for_spans(data: Path, count: int) -> None:
    """Wait until the lake holds so many rows."""
    deadline = time.monotonic() + 60
    while rows_in_lake(data, "spans") < count:
        assert time.monotonic() < deadline, "the spans did not arrive"
        time.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("with_sidecar", [True, False], ids=["sidecar", "alone"])
def test_an_import_that_was_cut_off_goes_on(
    tmp_path: Path, how: signal.Signals, *, with_sidecar: bool
) -> None:
    """kill -9 or Ctrl-C in the middle, twice, then to the end: every record is there once."""
    sidecar = start_sidecar(tmp_path / "data") if with_sidecar else None
    data = tmp_path / "data"
    options = on(sidecar) if sidecar else ("--data", str(data))
    requests = [spans(SPANS_PER_MESSAGE, name="chat " + "x" * 300) for _ in range(1500)]
    path = tmp_path / "spans.bin"
    path.write_bytes(prefixed(requests))
    try:
        reached = 0
        for _ in range(2):
            reached = cut_off(("import", str(path), *options), data, how, reached)
            assert 0 < reached < path.stat().st_size
        done = quietpager("import", str(path), *options)
        assert (done.returncode, done.stderr) == (0, "")
        ((_, accepted, before, refused),) = counts(done.stdout)
        assert (int(accepted) + int(before), refused) == (75_000, 0)
        assert int(before) > 0, "it began anew"
        wait_for_spans(data, 75_000)
        assert once_each(data) == ids_in(requests)
    finally:
        if sidecar:
            sidecar.end()


def cut_off(arguments: tuple[str, ...], data: Path, how: signal.Signals, reached: int) -> int:
    """Run an import until it has got further than `reached`, end it, and return how far it got."""
    with subprocess.Popen(
        (*COMMAND, *arguments), env=ENVIRONMENT, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while offset_of(data) <= reached:
            assert process.poll() is None, "it ended before it could be cut off"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(how)
        assert process.stderr is not None
        said = process.stderr.read()
        code = process.wait(60)
    if how is signal.SIGINT:
        assert code == 130
        assert said == "interrupted; run the same command again and it goes on where it was\n"
    return offset_of(data)


def offset_of(data: Path) -> int:
    """How far the one import is remembered."""
    found = list((data / "state" / "imports").glob("*.json"))
    return int(json.loads(found[0].read_bytes())["offset"]) if found else 0


def test_what_is_refused_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A line that cannot be read, a span that is refused and junk cost only themselves."""

    def line(trace_id: str, span_id: str) -> str:
        now = str(time.time_ns())
        span = {"traceId": trace_id, "spanId": span_id, "name": "x",
                "startTimeUnixNano": now, "endTimeUnixNano": now}  # fmt: skip
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})

    lines = [line("0" * 31 + "1", f"{number:016x}") for number in range(1, 41)]
    lines[6] = line("not hex", "0" * 15 + "9")
    lines[17] = line("0" * 31 + "1", "0" * 16)
    lines[30] = "junk"
    path = tmp_path / "spans.json"
    path.write_text("\n".join(lines) + "\n")
    done = quietpager("import", str(path), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"{path}: line 7: traceId 'not hex' is not hexadecimal" in done.stderr
    assert (
        "1 of 33 spans refused" in done.stderr or "span_id 0000000000000000 must be" in done.stderr
    )
    assert f"{path}: line 31: not JSON" in done.stderr
    assert ["traces", 37, 0, 2] in counts(done.stdout)
    assert once_each(tmp_path / "data") == {f"{n:016x}" for n in range(1, 41)} - {
        f"{n:016x}" for n in (7, 18, 31)
    }

    again = quietpager("import", str(path), "--data", str(tmp_path / "data"))
    assert again.returncode == 1, "what is missing is still missing"
    assert ["traces", 0, 37, 2] in counts(again.stdout)


def test_a_torn_file_is_imported_up_to_the_tear(tmp_path: Path) -> None:
    """Everything before the damage is in, one line says where it is, and the exit code is 1."""
    requests = [spans(SPANS_PER_MESSAGE) for _ in range(4)]
    content = prefixed(requests)
    path, data = tmp_path / "spans.bin", tmp_path / "data"
    path.write_bytes(content[:-10])
    last = len(content) - len(prefixed(requests[-1:]))
    done = quietpager("import", str(path), "--data", str(data))
    size = requests[-1].ByteSize()
    assert done.returncode == 1
    assert done.stderr == f"{path}: byte {last}: the file ends inside a message of {size} bytes\n"
    assert once_each(data) == ids_in(requests[:-1])


def test_standard_input(tmp_path: Path) -> None:
    """- is stdin, also a pipe; and a sidecar that had run before is no obstacle."""
    requests = [spans(3)]
    command = (*COMMAND, "import", "-", "--data", str(tmp_path / "data"))
    done = subprocess.run(command, input=prefixed(requests), env=ENVIRONMENT, check=False,
                          capture_output=True, timeout=60)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert once_each(tmp_path / "data") == ids_in(requests)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.json",), "gone.json: No such file or directory; name a readable file"),
        ((".",), ".: Is a directory; name a readable file"),
        (("a", "--format", "xml"), "--format 'xml' is not known; choose from otlp-json"),
        (("a", "--signal", "spans"), "--signal 'spans' is not known; choose from traces"),
        (("a", "a"), "a: named twice; name each file once"),
        ((), "Missing argument 'FILE...'"),
    ],
)
def test_usage(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """What is wrong on the command line is one line and exit code 2, before anything starts."""
    (tmp_path / "a").write_bytes(b"")
    done = subprocess.run((*COMMAND, "import", *arguments, "--data", str(tmp_path / "data")),
                          capture_output=True, text=True, check=False, timeout=60,
                          env=ENVIRONMENT, cwd=tmp_path)  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_options_name_what_the_room_knows() -> None:
    """--format and --signal offer exactly the formats and signals that files are read for."""
    assert tuple(FileFormat) == FORMATS
    assert tuple(REQUESTS) == SIGNALS


def test_a_file_of_blank_lines_has_nothing_to_import(tmp_path: Path) -> None:
    """It is not taken for anything, nor a failure: a log that was rotated may begin so."""
    path = tmp_path / "blank.log"
    path.write_bytes(b"\n\n \n")
    done = quietpager("import", str(path), "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    """A file of no known format is not imported, and the others are."""
    (tmp_path / "notes.txt").write_text("buy milk\n")
    (tmp_path / "spans.pb").write_bytes(spans(2).SerializeToString())
    files = (str(tmp_path / "notes.txt"), str(tmp_path / "spans.pb"))
    done = quietpager("import", *files, "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "notes.txt: none of the formats otlp-json" in done.stderr
    assert counts(done.stdout) == [["traces", 2, 0, 0]]


def test_nothing_is_sent_to_another_data_directory(tmp_path: Path) -> None:
    """The sidecar at the address must be the one on the data directory."""
    other = start_sidecar(tmp_path / "other")
    try:
        (tmp_path / "spans.pb").write_bytes(spans(2).SerializeToString())
        address = other.endpoints["OTLP/HTTP"].removeprefix("http://")
        with sole(tmp_path / "data", "sidecar"):
            done = quietpager("import", str(tmp_path / "spans.pb"), "--data",
                              str(tmp_path / "data"), "--otlp-http", address)  # fmt: skip
        assert done.returncode == 1
        assert (
            f"http://{address} belongs to another data directory; give the address" in done.stderr
        )
        assert done.stderr.count("\n") == 1
    finally:
        other.end()
    assert rows_in_lake(other.data, "spans") == 0


class Elsewhere(BaseHTTPRequestHandler):
    """Takes everything, as a collector does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on a free port; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_nothing_is_sent_to_a_stranger(tmp_path: Path) -> None:
    """A collector at the address takes OTLP, too; it is not taken for the sidecar."""
    (tmp_path / "spans.pb").write_bytes(spans(2).SerializeToString())
    with serving(Elsewhere) as address, sole(tmp_path / "data", "sidecar"):
        done = quietpager("import", str(tmp_path / "spans.pb"), "--data",
                          str(tmp_path / "data"), "--otlp-http", address)  # fmt: skip
    assert done.returncode == 1
    assert "takes telemetry, but is no receiver of Quietpager's" in done.stderr


def test_one_import_at_a_time(tmp_path: Path) -> None:
    """Two imports into one data directory would count each other's files as their own."""
    (tmp_path / "spans.pb").write_bytes(spans(2).SerializeToString())
    with sole(tmp_path / "data", "import"):
        done = quietpager("import", str(tmp_path / "spans.pb"), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"in use by the import with process id {os.getpid()}" in done.stderr


def test_logs_in_protobuf(tmp_path: Path) -> None:
    """A file with one log request is imported by what is in it."""
    (tmp_path / "logs.pb").write_bytes(logs(4).SerializeToString())
    done = quietpager("import", str(tmp_path / "logs.pb"), "--data", str(tmp_path / "data"))
    assert counts(done.stdout) == [["logs", 4, 0, 0]]


def test_progress_is_on_stderr_and_colourless_when_asked(tmp_path: Path) -> None:
    """On a terminal there are bars, without colours under NO_COLOR; stdout has the summary only."""
    (tmp_path / "spans.pb").write_bytes(spans(2).SerializeToString())
    master, slave = os.openpty()
    done = subprocess.Popen((*COMMAND, "import", str(tmp_path / "spans.pb"), "--data",
                             str(tmp_path / "data")), stderr=slave, stdout=subprocess.PIPE,
                            env=ENVIRONMENT | {"TERM": "xterm"})  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(master)
    stdout, _ = done.communicate(timeout=60)
    assert b"spans.pb" in shown
    assert b"2 records" in shown
    assert b"\x1b[3" not in shown, "a colour"
    assert counts(stdout.decode()) == [["traces", 2, 0, 0]]
