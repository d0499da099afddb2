"""`quietpager import`: files of telemetry into the data directory."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data

if TYPE_CHECKING:
    from cli.config import Config
    from cli.import_progress import Display
    from ingest import Imported, ProgressStore, Reading, Refused, Sender

STDIN = "-"
FORMATS = ("otlp-json", "otlp-prefixed", "otlp-proto", "otlp-delimited", "structlog")
SIGNALS = ("traces", "logs", "metrics")
REFUSALS_TOLD = 20
GOES_ON = "run the same command again and it goes on where it was"


def register(app: typer.Typer) -> None:
    app.command(
        "import",
        epilog="Example: quietpager import /var/backups/otel/traces-*.json /var/log/agent/*.jsonl",
    )(import_files)


def import_files(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files to import; - is stdin.")
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Do not recognise the format, take this one: {', '.join(FORMATS)}.",
            metavar="FORMAT",
            show_default=False,
        ),
    ] = None,
    signal: Annotated[
        str | None,
        typer.Option(
            help=f"What OTLP protobuf holds, if that cannot be told: {', '.join(SIGNALS)}.",
            metavar="SIGNAL",
            show_default=False,
        ),
    ] = None,
    log_path: Annotated[
        Path | None,
        typer.Option(
            help="Where the collector read the log file, if FILE is a copy or a rotated one: a "
            "line that came both ways is then still one record.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    config: ConfigPath = None,
    otlp_http: Annotated[
        str | None,
        typer.Option(
            help="Where the sidecar of the data directory receives OTLP over HTTP, if one runs.",
            metavar="HOST:PORT",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Import telemetry from files: each record once, however often you run it.

    Takes what the collector's file exporter writes (JSON or proto, zstd or not), OTLP protobuf as
    it is, and JSON-lines logs of structlog, without the content and secrets that the shipped
    otel-collector.yaml takes out. The format is recognised by the content.

    The records go through the receiver of the sidecar; if none runs on the data directory, one is
    started meanwhile. After an interruption the same command goes on where it was. Rows older than
    retention_days are deleted again by the sidecar.

    Prints, per file and signal, the records accepted now, those already there from an earlier run,
    and those refused. Exit code 0: all are in. 1: something was refused or damaged; stderr names
    it.
    """
    from cli.load import load_config
    from cli.lock import sole

    _check(files, form, signal)
    settings = load_config(config, data=data, otlp_http=otlp_http)
    settings = settings.model_copy(update={"data": settings.data.absolute()})
    reading = _reading(form, signal, settings)
    with sole(settings.data, "import"), _logging(settings.data), _receiver(settings) as url:
        done = _import_all(files, reading, log_path, settings.data, url)
    _print_summary(done)
    raise typer.Exit(0 if all(imported.complete for imported in done.values()) else 1)


def _check(files: Sequence[str], form: str | None, signal: str | None) -> None:
    """:raises Failure: for what is wrong on the command line, before anything is started."""
    if form is not None and form not in FORMATS:
        raise Failure(f"--format {form!r} is not known; choose from {', '.join(FORMATS)}", 2)
    if signal is not None and signal not in SIGNALS:
        raise Failure(f"--signal {signal!r} is not known; choose from {', '.join(SIGNALS)}", 2)
    for name in files:
        if files.count(name) > 1:
            raise Failure(f"{name}: named twice; name each file once", 2)
        if name == STDIN:
            continue
        try:
            with Path(name).open("rb") as file:
                file.read(1)
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}; name a readable file", 2) from None


def _reading(form: str | None, signal: str | None, settings: "Config") -> "Reading":
    from ingest import FileFormat, Reading

    return Reading(
        form=None if form is None else FileFormat(form),
        signal=signal,
        keep_content_for=settings.privacy.keep_content_for,
        mapping=settings.attribute_map(),
    )


@contextmanager
def _logging(data: Path) -> Iterator[None]:
    """What the processes and the retries have to say goes into a file, not among the progress."""
    from ingest import log_json

    with _log_file(data).open("a", encoding="utf-8") as log:
        log_json("import", log)
        yield


def _log_file(data: Path) -> Path:
    return data / "state" / "import.log"


@contextmanager
def _receiver(settings: "Config") -> Iterator[str]:
    """The URL of the running sidecar's receiver, or of one that is run meanwhile."""
    from cli.own_sidecar import own_sidecar
    from ingest import DirectoryInUse, sole

    with ExitStack() as stack:
        try:
            stack.enter_context(sole(settings.data, "sidecar"))
        except DirectoryInUse:
            url = f"http://{settings.otlp_http}"
        else:
            log = stack.enter_context(_log_file(settings.data).open("a", encoding="utf-8"))
            url = stack.enter_context(own_sidecar(settings, log))
        yield url


def _import_all(
    files: Sequence[str], reading: "Reading", log_path: Path | None, data: Path, url: str
) -> "dict[str, Imported]":
    from cli.import_progress import Display
    from ingest import NoReceiver, ProgressStore, Sender

    display = Display()
    done = {}
    store = ProgressStore(data)
    try:
        with Sender(url, data, display.waiting) as sender, display.showing():
            sender.greet()
            for name in files:
                own = replace(reading, path=log_path or _path_of(name))
                done[name] = _import_one(name, own, sender, store, display)
    except NoReceiver as error:
        raise Failure(
            f"{error}; give the address of the sidecar on {data} with --otlp-http HOST:PORT. "
            f"What was imported stays: {GOES_ON}"
        ) from None
    except KeyboardInterrupt:
        display.say(f"interrupted; {GOES_ON}")
        raise
    return done


def _path_of(name: str) -> Path | None:
    """The path as the collector tells it: absolute, links as they are."""
    return None if name == STDIN else Path(os.path.abspath(name))  # noqa: PTH100 - as said


def _import_one(
    name: str, reading: "Reading", sender: "Sender", store: "ProgressStore", display: "Display"
) -> "Imported":
    """Import one file, and say on stderr what of it could not be."""
    from ingest import Imported, Listener, Unrecognised, import_file

    with _opened(name) as file:
        size = os.fstat(file.fileno()).st_size if file.seekable() else None
        shown = display.file(name, file, size)

        told = count(1)

        def on_refused(refused: "Refused") -> None:
            if (number := next(told)) <= REFUSALS_TOLD:
                display.say(f"{name}: {refused.place}: {refused.why}")
            elif number == REFUSALS_TOLD + 1:
                display.say(f"{name}: further refusals are only counted")

        listener = Listener(on_refused, shown.advanced)
        try:
            imported = import_file(file, reading, sender, store, listener)
        except Unrecognised:
            imported = Imported(
                damage=f"none of the formats {', '.join(FORMATS)}; name it with --format"
            )
        except OSError as error:
            imported = Imported(damage=f"{error.strerror or error}; nothing after that was read")
        if imported.damage:
            display.say(f"{name}: {imported.damage}")
    return imported


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _print_summary(done: "Mapping[str, Imported]") -> None:
    """One line per file and signal, on stdout."""
    from cli.output import Column, render_table

    lines = [
        (name, signal, tally)
        for name, imported in done.items()
        for signal, tally in sorted(imported.tallies.items())
    ]
    if not lines:
        return
    columns = [
        Column("file", [name for name, _, _ in lines]),
        Column("signal", [signal for _, signal, _ in lines]),
        Column("accepted", [f"{tally.accepted:,}" for _, _, tally in lines], right=True),
        Column("already there", [f"{tally.before:,}" for _, _, tally in lines], right=True),
        Column("refused", [f"{tally.refused:,}" for _, _, tally in lines], right=True),
    ]
    sys.stdout.write(render_table(columns))
