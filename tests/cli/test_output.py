"""How answers are written for people and for programs."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.failure import Failure
from cli.output import Column, Format, columns_of, write

AT = datetime(2026, 11, 24, 8, 40, 12, 345678, tzinfo=UTC)

ANSWER = pa.table(
    {
        "tenant_id": ["acme", None],
        "cost_usd": pa.array([Decimal("1234.500000001"), None], pa.decimal128(18, 9)),
        "ttfb_ms": [1423.25, None],
        "runs": pa.array([1234567, 0], pa.int64()),
        "at": pa.array([AT, None], pa.timestamp("us", tz="UTC")),
        "day": pa.array([date(2026, 11, 24), None]),
        "models": pa.array([["a", "b,c"], []], pa.list_(pa.string())),
        "attributes": pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())),
        "fine": [True, None],
        "lasted": pa.array([timedelta(seconds=1.5), None], pa.duration("us")),
    }
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def written(capsys: pytest.CaptureFixture[str], answer: pa.Table, form: Format) -> str:
    write(answer, form)
    return capsys.readouterr().out


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A table has units and thousands, numbers at the right, and no trailing blanks."""
    answer = ANSWER.select(["tenant_id", "cost_usd", "ttfb_ms", "runs"])

    assert written(capsys, answer, Format.table) == (
        "tenant_id    cost_usd   ttfb_ms        runs\n"
        "───────────────────────────────────────────\n"
        "acme        $1,234.50    1.42 s   1,234,567\n"
        "–                   –         –           0\n"
    )


def test_long_texts_are_cut_in_tables_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A text takes at most 80 characters of a table; programs get the whole."""
    long = pa.table({"a": ["x" * 300], "b": [1]})

    assert f"{'x' * 79}…   1\n" in written(capsys, long, Format.table)
    for form in (Format.csv, Format.json):
        assert "x" * 300 in written(capsys, long, form)


def test_table_is_as_wide_as_it_has_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal bounds it a table of many columns loses none."""
    wide = pa.table({f"column_{n}": ["x" * 80] for n in range(10)})

    assert written(capsys, wide, Format.table).splitlines()[2] == "   ".join(["x" * 80] * 10)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("abc\u202edef\u2066\u2028", r"abc\u202edef\u2066\u2028"),
        ("\x7f\x9b\ufeff", r"\x7f\x9b\ufeff"),
        ("👩\u200d🚀 é Ω", "👩\u200d🚀 é Ω"),
        ("", '""'),
        ("  ", '"  "'),
    ],
)
def test_nothing_in_a_table_steers_the_terminal(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control and direction characters are shown as escapes, a blank text in quotes."""
    answer = pa.table({"a": [text], "b": ["end"]})

    assert written(capsys, answer, Format.table).splitlines()[2].startswith(f"{shown}   ")
    assert json.loads(written(capsys, answer, Format.json))[0]["a"] == text


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup in the data is shown as it is."""
    assert "[red]x[/red]" in written(capsys, pa.table({"a": ["[red]x[/red]"]}), Format.table)


def test_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows: the columns on stdout, and a word about it on stderr."""
    write(ANSWER.slice(0, 0).select(["tenant_id"]), Format.table, empty="nobody came")
    captured = capsys.readouterr()

    assert captured.out.startswith("tenant_id\n")
    assert captured.err == "nobody came\n"


def test_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What people see may differ from what programs get."""
    write(ANSWER, Format.table, shown=[Column("tenant", ["acme"]), Column("n", ["1"], right=True)])
    assert capsys.readouterr().out.splitlines()[0] == "tenant   n"

    (column,) = columns_of(ANSWER, {"ttfb_ms": "first token"})
    assert column == Column("first token", ["1.42 s", "–"], right=True)


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV holds raw values: NULL is empty, lists and maps are JSON, times ISO 8601 in UTC."""
    header, first, second = csv.reader(io.StringIO(written(capsys, ANSWER, Format.csv)))

    assert header == ANSWER.column_names
    assert first == [
        "acme", "1234.500000001", "1423.25", "1234567", "2026-11-24T08:40:12.345678Z",
        "2026-11-24", '["a","b,c"]', '{"k":"v"}', "true", "1.5",
    ]  # fmt: skip
    assert second == ["", "", "", "0", "", "", "[]", "", "", ""]


@pytest.mark.parametrize("form", [Format.json, Format.jsonl])
def test_json(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON keeps decimals exact and as numbers, and NULL as null."""
    text = written(capsys, ANSWER, form)
    whole = f"[{','.join(text.splitlines())}]" if form is Format.jsonl else text
    lines = json.loads(whole, parse_float=Decimal)

    assert lines[0]["cost_usd"] == Decimal("1234.500000001")
    assert lines[0]["at"] == "2026-11-24T08:40:12.345678Z"
    assert lines[0]["attributes"] == {"k": "v"}
    assert lines[0]["models"] == ["a", "b,c"]
    assert lines[1] == dict.fromkeys(ANSWER.column_names) | {"runs": 0, "models": []}


def test_no_rows_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows are an empty list, and nothing as lines."""
    assert json.loads(written(capsys, ANSWER.slice(0, 0), Format.json)) == []
    assert written(capsys, ANSWER.slice(0, 0), Format.jsonl) == ""


STRANGE = """SELECT DATE '290000-01-01' AS far, 'infinity'::TIMESTAMP AS never, 'é"x' AS "it ""s",
  INTERVAL '1 year 2 days 03:04:05' AS every, ['-infinity'::TIMESTAMPTZ] AS several"""


@pytest.mark.parametrize("form", [Format.table, Format.csv, Format.json])
def test_values_that_python_lacks(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """Years beyond 9999, infinity and INTERVAL are written as DuckDB writes them."""
    text = written(capsys, duckdb.sql(STRANGE).to_arrow_table(), form)

    for value in ("290000-01-01", "infinity", "1 year 2 days 03:04:05", "[-infinity]", "é"):
        assert value in text


def test_parquet(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Parquet holds the answer as it is, types included."""
    write(ANSWER, Format.parquet)

    assert pq.read_table(io.BytesIO(capfdbinary.readouterr().out)).equals(ANSWER)


def test_parquet_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants Parquet on a terminal."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    with pytest.raises(Failure, match=r"redirect it, e\.g\. > answer\.parquet"):
        write(ANSWER, Format.parquet)
