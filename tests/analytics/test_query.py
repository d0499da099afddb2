"""The front door: any read-only SQL, one clear line for anything else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from analytics import VIEWS, Analytics, QueryError, UnknownQuestion
from lake import TABLES, Lake, LakeError
from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry

COLUMNS = {
    "runs": "run_id trace_id thread_id tenant_id user_id agent_name feature started_at ended_at "
    "duration_ms ttfb_ms outcome outcome_reason error_class error_message models llm_calls "
    "tool_calls tool_errors input_tokens output_tokens cache_read_tokens cache_write_tokens "
    "reasoning_tokens cost_usd unpriced_calls usage_source source",
    "llm_calls": "span_id trace_id run_id thread_id tenant_id user_id agent_name feature node "
    "started_at duration_ms ttfb_ms provider request_model response_model response_id "
    "finish_reason input_tokens output_tokens cache_read_tokens cache_write_tokens "
    "reasoning_tokens cost_usd price_id outcome error_class attempt outcome_reason",
    "tool_calls": "span_id trace_id run_id thread_id tenant_id user_id agent_name node started_at "
    "duration_ms tool_name tool_call_id outcome error_class error_message attempt idempotency_key",
    "spans": " ".join(TABLES["spans"].arrow.names),
    "logs": " ".join(TABLES["logs"].arrow.names),
    "metrics": " ".join(TABLES["metrics"].arrow.names),
}


@pytest.mark.parametrize("view", COLUMNS)
def test_the_views_are_an_interface(opened: Opener, view: str) -> None:
    """Their columns are what the documentation promises, data or not."""
    assert opened().query(f"SELECT * FROM {view}").column_names == COLUMNS[view].split()


def test_money_and_time_have_their_types(opened: Opener) -> None:
    """Money is DECIMAL, times are instants in UTC."""
    schema = opened().query("SELECT cost_usd, started_at FROM runs").schema
    assert str(schema.field("cost_usd").type) == "decimal128(38, 12)"
    assert str(schema.field("started_at").type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1", "-- why\nWITH x AS (SELECT 1) SELECT * FROM x;", "FROM runs", "VALUES (1)",
     "DESCRIBE runs", "SHOW TABLES", "SUMMARIZE llm_calls", "EXPLAIN SELECT * FROM runs",
     "explain analyze select * from runs", "EXPLAIN (FORMAT json) SELECT 1"],
)  # fmt: skip
def test_reading_is_allowed(opened: Opener, sql: str) -> None:
    """Everything that only reads can be asked."""
    opened().query(sql)


def test_dashes_in_a_text_are_no_comment(opened: Opener) -> None:
    """A view named behind `--` within quotes is found all the same."""
    sql = "SELECT COUNT(*) AS n FROM spans WHERE name <> '--' AND '' IN (SELECT run_id FROM runs)"
    assert opened().query(sql)["n"].to_pylist() == [0]


def test_show_tables_lists_every_view(opened: Opener) -> None:
    """A user who looks around finds all there is to ask."""
    assert set(VIEWS) <= set(opened().query("SHOW TABLES")["name"].to_pylist())


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP VIEW runs", "DROP is refused: the lake is read-only; only SELECT"),
        ("CREATE TABLE x (a INT)", "CREATE is refused"),
        ("INSERT INTO price_list SELECT * FROM price_list", "INSERT is refused"),
        ("WITH x AS (SELECT 1) DELETE FROM runs", "DELETE is refused"),
        ("COPY runs TO 'x.csv'", "COPY is refused"),
        ("EXPLAIN ANALYZE COPY runs TO 'x.csv'", "cannot explain this: COPY is refused"),
        ("EXPLAIN /* */ ANALYZE DELETE FROM runs", "cannot explain this: "),
        ("EXPLAIN/**/SELECT 1", "cannot explain this: write EXPLAIN first, followed by a space"),
        ("EXPLAIN/**/ANALYZE COPY runs TO 'x.csv'", "cannot explain this: "),
        ("ATTACH 'x.db'", "ATTACH is refused"),
        ("SET threads = 8", "SET is refused"),
        ("PRAGMA threads = 8", "SET is refused"),
        ("CALL pragma_version()", "CALL is refused"),
        ("INSTALL httpfs", "refused"),
        ("SELECT 1; SELECT 2", "2 SQL statements given; give one"),
        ("", "0 SQL statements given"),
        ("-- nothing", "0 SQL statements given"),
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1 of the query)'),
        ("SELECT\n  x\nFROM runs", 'Referenced column "x" not found'),
        ("SELECT * FROM rums", "rums does not exist"),
        ("SELECT $tenant", "query needs a value for $tenant"),
        ("SELECT CAST('a' AS INT)", "Could not convert string 'a'"),
        ("SELECT * FROM read_text('/etc/hostname')", "file system operations are disabled"),
        ("SELECT * FROM '/etc/hostname.csv'", "file system operations are disabled"),
        ("SELECT * FROM glob('/*')", "file system operations are disabled"),
        ("SELECT * FROM read_parquet('https://example.com/x.parquet')", ""),
    ],
)  # fmt: skip
def test_all_else_is_one_clear_line(opened: Opener, sql: str, message: str) -> None:
    """What writes, reaches out or is wrong is refused in one line, and harms nothing."""
    analytics = opened()
    with pytest.raises(QueryError) as caught:
        analytics.query(sql)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert analytics.query("SELECT COUNT(*) AS n FROM runs").to_pylist() == [{"n": 0}]


def test_python_variables_are_no_tables(opened: Opener) -> None:
    """A name in a query never reaches into the process."""
    secret = Telemetry  # what a replacement scan would find
    with pytest.raises(QueryError, match="secret does not exist"):
        opened().query("SELECT * FROM secret")
    assert secret


def test_parameters(opened: Opener) -> None:
    """Values are bound, never pasted; a parameter the query does not have is a mistake."""
    analytics = opened()
    hostile = "x'; DROP VIEW runs; --"
    assert analytics.query("SELECT $a AS a", {"a": hostile}).to_pylist() == [{"a": hostile}]
    with pytest.raises(QueryError, match="query has no parameter b; it has a"):
        analytics.query("SELECT $a", {"a": 1, "b": 2})


def test_the_session_is_in_utc(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are UTC days wherever the process runs."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    telemetry.agent(at=NOON + timedelta(hours=11))
    with Analytics(telemetry.lake(tmp_path / "lake")) as analytics:
        answer = analytics.query("SELECT CAST(started_at AS DATE) AS day FROM runs")
    assert answer["day"].to_pylist() == [NOON.date()]


def test_an_unknown_question_lists_near_ones(opened: Opener) -> None:
    """A misspelt question is answered with what might have been meant."""
    with pytest.raises(UnknownQuestion, match="no question 'slo/tfb'; did you mean slo/ttfb"):
        opened().ask("slo/tfb")


def test_a_question_names_the_parameter_it_needs(opened: Opener) -> None:
    """A forgotten or foreign parameter is named."""
    with pytest.raises(QueryError, match=r"cost/by needs a value for \$by"):
        opened().ask("cost/by")
    with pytest.raises(QueryError, match="cost/by has no parameter colour"):
        opened().ask("cost/by", by="tenant", colour="red")


def test_an_open_side_is_open(telemetry: Telemetry, opened: Opener) -> None:
    """Without since and until a question is about all there is."""
    telemetry.llm(at=NOON - timedelta(days=900))
    telemetry.llm(at=NOON)
    answer = opened().ask("cost/by", by="")
    assert answer["calls"].to_pylist() == [2]


def test_a_time_without_zone_is_refused(opened: Opener) -> None:
    """A naive time could be anywhere."""
    with pytest.raises(LakeError, match="has no time zone"):
        opened().ask("cost/by", by="", since=datetime(2026, 1, 1))  # noqa: DTZ001


def test_new_data_is_seen_at_once(telemetry: Telemetry, tmp_path: Path) -> None:
    """Each question sees the newest commit; the one before stays whole for its asker."""
    lake = Lake(tmp_path / "lake")
    with Analytics(lake, threads=1) as analytics:
        for expected in (1, 2, 3):
            telemetry.spans.clear()
            telemetry.agent()
            telemetry.into(lake, position=expected)
            for _ in range(2):
                answer = analytics.query("SELECT COUNT(*) AS n FROM runs")
                assert answer.to_pylist() == [{"n": expected}]


def test_pinned_answers_agree(telemetry: Telemetry, tmp_path: Path) -> None:
    """Pinned to a moment, questions of any range are answered from it; others go on."""
    lake = Lake(tmp_path / "lake")
    count = "SELECT COUNT(*) AS n FROM runs"
    with Analytics(lake, threads=1) as analytics:
        nothing = analytics.pinned()
        telemetry.agent()
        telemetry.into(lake, position=1)
        one = analytics.pinned()
        telemetry.spans.clear()
        telemetry.agent()
        telemetry.into(lake, position=2)
        for since in (None, NOON - timedelta(hours=1)):
            for asked, expected in ((nothing, 0), (one, 1), (analytics, 2), (one, 1)):
                assert asked.query(count, since=since)["n"].to_pylist() == [expected]


def test_many_threads_ask_at_once(telemetry: Telemetry, tmp_path: Path) -> None:
    """Questions from several threads, over several snapshots and a growing lake, all come right."""
    lake = telemetry.lake(tmp_path / "lake")
    for _ in range(50):
        telemetry.llm(under=telemetry.agent())
    telemetry.into(lake, position=2)
    with Analytics(lake, threads=2) as analytics, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> tuple[int, int]:
            since = NOON - timedelta(hours=number % 7)
            answer = analytics.query("SELECT COUNT(*) AS n, SUM(llm_calls) AS c FROM runs",
                                     since=since)  # fmt: skip
            return answer["n"][0].as_py(), int(answer["c"][0].as_py())

        assert set(pool.map(ask, range(60))) == {(50, 50)}


def test_more_than_fits_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the memory limit a question spills to disk, and leaves nothing behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Analytics(Lake(tmp_path / "lake"), memory_limit="64MB", threads=1) as analytics:
        answer = analytics.query("""
            SELECT COUNT(*) AS n, MAX(x) AS x
            FROM (SELECT md5(CAST(i AS VARCHAR)) AS x FROM range(2000000) AS r (i)
                  ORDER BY x OFFSET 10)""")
        assert answer["n"].to_pylist() == [1_999_990]
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_too_much_for_the_memory_limit_is_said_so(tmp_path: Path) -> None:
    """What cannot even spill is one line that says what to do, and the next question works."""
    with Analytics(Lake(tmp_path / "lake"), memory_limit="32MB", threads=1) as analytics:
        with pytest.raises(QueryError, match="needs more memory than the limit; ask about less"):
            analytics.query("SELECT list(repeat('x', 1000) || i) FROM range(200000) AS r (i)")
        assert analytics.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
