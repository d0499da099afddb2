"""What the commands answer about a lake with 30 runs; see the `sidecar` fixture."""

import io
import json
import os
import shutil
import subprocess
import termios
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.running import quietpager
from tests.sidecar import COMMAND, ENVIRONMENT, Sidecar


def asked(sidecar: Sidecar, *arguments: str, **options: str) -> str:
    done = quietpager(*arguments, "--data", str(sidecar.data), **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(text: str) -> list[list[str]]:
    """The cells of a table for people, without its rule."""
    header, _, *rows = text.splitlines()
    starts = [0] + [n + 3 for n in range(len(header)) if header[n : n + 3] == "   "]
    assert starts
    return [line.split() for line in (header, *rows)]


def test_sql(sidecar: Sidecar) -> None:
    """Any question over the views, with parameters that the shell need not quote."""
    query = "SELECT tenant_id, count(*) AS n FROM runs WHERE tenant_id = $t GROUP BY tenant_id"

    assert asked(sidecar, "sql", query, "--param", "t=acme", "--format", "csv") == (
        "tenant_id,n\nacme,20\n"
    )


def test_parameters(sidecar: Sidecar) -> None:
    """What reads as a number is one, unless the query wants text there."""
    answer = asked(sidecar, "sql", "SELECT $n + 1 AS n, typeof($z) AS z", "--param", "n=41",
                   "--param", "z=007", "--format", "csv")  # fmt: skip
    assert answer == "n,z\n42,VARCHAR\n"

    query = "SELECT count(*) AS n FROM runs WHERE tenant_id = $t"
    assert asked(sidecar, "sql", query, "--param", "t=42", "--format", "csv") == "n\n0\n"


def test_sql_from_file_and_stdin(sidecar: Sidecar, tmp_path: Path) -> None:
    """A query may come from a file or from stdin."""
    (tmp_path / "q.sql").write_text("SELECT count(*) AS n FROM llm_calls;\n")
    assert asked(sidecar, "sql", "-f", str(tmp_path / "q.sql"), "--format", "csv") == "n\n30\n"

    done = subprocess.run(
        (*COMMAND, "sql", "--format", "jsonl"), input="SELECT count(*) AS n FROM tool_calls",
        capture_output=True, text=True, check=True,
        env=ENVIRONMENT | {"QUIETPAGER_DATA": str(sidecar.data)},
    )  # fmt: skip
    assert json.loads(done.stdout) == {"n": 30}


def test_shipped_sql(sidecar: Sidecar, repository: Path) -> None:
    """Any shipped question can be run as it is; a parameter left empty is NULL."""
    file = repository / "analytics" / "sql" / "slo" / "ttfb.sql"
    answer = asked(sidecar, "sql", "-f", str(file), "--param", "tenant=", "--param", "target=0.95",
                   "--param", "threshold_ms=1500", "--format", "jsonl")  # fmt: skip

    assert json.loads(answer)["total"] == 30


def test_explain(sidecar: Sidecar) -> None:
    """A plan is drawn over its lines, uncut."""
    answer = asked(sidecar, "sql", "EXPLAIN SELECT count(*) FROM runs")

    assert len(answer.splitlines()) >= 5
    assert "\\n" not in answer


def test_parquet(sidecar: Sidecar) -> None:
    """An answer as Parquet goes to a file or pipe as it is."""
    done = subprocess.run(
        (*COMMAND, "sql", "--data", str(sidecar.data), "--format", "parquet", "SELECT * FROM runs"),
        capture_output=True, check=True, env=ENVIRONMENT,
    )  # fmt: skip

    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 30


def test_read_only(sidecar: Sidecar) -> None:
    """No query changes anything."""
    done = quietpager("sql", "--data", str(sidecar.data), "DELETE FROM runs")

    assert done.returncode == 1
    assert done.stderr == done.stderr.splitlines()[0] + "\n"
    assert "read-only" in done.stderr


def test_cost(sidecar: Sidecar) -> None:
    """Cost by the dimensions asked for, in their order; unknown prices are counted, not zero."""
    rows = json.loads(asked(sidecar, "cost", "--by", "model,tenant", "--format", "json"))

    assert list(rows[0])[:2] == ["model", "tenant_id"]
    assert "user_id" not in rows[0]
    found = {(r["model"], r["tenant_id"]): (r["calls"], r["cost_usd"]) for r in rows}
    # gpt-4o-mini: 0.15 USD per million input tokens, 0.60 output; a call has 1000 and 100.
    assert found == {
        ("gpt-4o-mini", "acme"): (20, pytest.approx(20 * 0.00021, abs=1e-12)),
        ("gpt-4o-mini", "globex"): (5, pytest.approx(5 * 0.00021, abs=1e-12)),
        ("our-own-7b", "globex"): (5, None),
    }
    assert [r["unpriced_calls"] for r in rows if r["model"] == "our-own-7b"] == [5]


def test_cost_for_people(sidecar: Sidecar) -> None:
    """For people money has a currency, and what is not known is a dash."""
    header, *rows = table(asked(sidecar, "cost", "--by", "model"))

    assert header[0] == "model"
    assert [row[0] for row in rows] == ["gpt-4o-mini", "our-own-7b"]
    assert rows[0][-2:] == ["$0.0052", "0"] or rows[0][-2:] == ["$0.0053", "0"]
    assert rows[1][-2:] == ["–", "5"]


def test_cost_with_own_price(sidecar: Sidecar, tmp_path: Path) -> None:
    """A price told in quietpager.toml prices past calls, too."""
    config = tmp_path / "quietpager.toml"
    config.write_text(
        '[[prices]]\nprovider = "openai"\nmodel = "our-own-7b"\ninput = 1.0\noutput = 10.0\n'
    )
    rows = json.loads(
        asked(sidecar, "cost", "--by", "model", "--config", str(config), "--format", "json")
    )
    (own,) = (row for row in rows if row["model"] == "our-own-7b")

    assert own["cost_usd"] == pytest.approx(5 * 0.002, abs=1e-12)
    assert own["unpriced_calls"] == 0


def test_tools(sidecar: Sidecar) -> None:
    """Tools with their calls, errors and error rate."""
    (lookup,) = json.loads(asked(sidecar, "tools", "--format", "json"))
    assert (lookup["tool_name"], lookup["calls"], lookup["errors"]) == ("lookup", 30, 3)
    assert lookup["error_rate"] == pytest.approx(0.1)

    by_tenant = json.loads(
        asked(sidecar, "tools", "--by", "tenant", "--tenant", "globex", "--format", "json")
    )
    assert [(row["tenant_id"], row["errors"]) for row in by_tenant] == [("globex", 1)]
    assert "10.00 %" in asked(sidecar, "tools")


def test_slo(sidecar: Sidecar) -> None:
    """The four objectives with state, value and what is left of the budget."""
    rows = {row["slo"]: row for row in json.loads(asked(sidecar, "slo", "--format", "json"))}

    assert list(rows) == ["ttfb", "stream-success", "tool-errors", "cost-per-request"]
    assert rows["ttfb"]["state"] == "met"
    assert rows["ttfb"]["good"] == rows["ttfb"]["total"] == 30
    assert rows["tool-errors"]["state"] == "breached"
    assert rows["tool-errors"]["budget_left"] == pytest.approx(1 - 0.1 / 0.02)
    assert rows["cost-per-request"]["missing"] == 5
    assert rows["cost-per-request"]["coverage"] == pytest.approx(25 / 30)


def test_slo_check(sidecar: Sidecar, tmp_path: Path) -> None:
    """The exit code says: 0 all met, 1 one is breached, 2 not all can be evaluated."""
    breached = quietpager("slo", "check", "--data", str(sidecar.data))
    assert breached.returncode == 1
    assert breached.stderr.startswith("breached: Tool errors")

    unknown = quietpager("slo", "check", "--data", str(sidecar.data), "--tenant", "nobody")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("cannot be evaluated: ")

    shipped = Path(__file__).parents[2] / "analytics" / "objectives" / "1-ttfb.yaml"
    (tmp_path / "quietpager.toml").write_text(f'slo = "{shipped}"')
    config = str(tmp_path / "quietpager.toml")
    met = quietpager("slo", "check", "--data", str(sidecar.data), "--config", config)
    assert met.returncode == 0, met.stderr
    assert met.stderr == ""


def test_slo_check_of_a_lake_that_cannot_be_read(sidecar: Sidecar, tmp_path: Path) -> None:
    """A damaged lake or an impossible window is no breach: 2, with the reason in one line."""
    shutil.copytree(sidecar.data / "lake", tmp_path / "lake")
    for file in (tmp_path / "lake" / "spans").rglob("*.parquet"):
        file.unlink()
    for arguments in (["--window", "7d"], ["--window", "999999999d"]):
        refused = quietpager("slo", "check", "--data", str(tmp_path), *arguments)
        assert refused.returncode == 2
        assert refused.stderr.startswith("quietpager: ")
        assert len(refused.stderr.splitlines()) == 1


def test_columns_of_the_same_name_are_told_apart(sidecar: Sidecar) -> None:
    """No format drops one of two columns with the same name."""
    query = "SELECT 1 AS a, 'x' AS a, 2 AS a"
    assert json.loads(asked(sidecar, "sql", query, "--format", "jsonl")) == {
        "a": 1, "a_1": "x", "a_2": 2,
    }  # fmt: skip
    assert table(asked(sidecar, "sql", query))[0] == ["a", "a_1", "a_2"]


def test_a_narrow_terminal_loses_no_column(sidecar: Sidecar) -> None:
    """On 80 columns a table is as wide as it must be, tenant and model included."""
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = (*COMMAND, "cost", "--data", str(sidecar.data))
    subprocess.run(command, stdout=terminal, check=True, env=ENVIRONMENT)
    os.close(terminal)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert "acme" in shown
    assert "tenant" in shown


def test_thread(sidecar: Sidecar) -> None:
    """Every span of a thread in order, each in the one it is part of."""
    rows = json.loads(asked(sidecar, "thread", "thread-10", "--format", "json"))
    assert {row["name"] for row in rows} == {
        "invoke_agent support", "chat our-own-7b", "execute_tool lookup",
    }  # fmt: skip
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)

    text = asked(sidecar, "thread", "thread-10")
    assert "   invoke_agent support" in text
    assert "     chat our-own-7b" in text


def test_alerts(sidecar: Sidecar) -> None:
    """When none has fired there is none, and that is said."""
    done = quietpager("alerts", "--data", str(sidecar.data))
    assert (done.returncode, done.stderr) == (0, "no alert has fired\n")

    assert asked(sidecar, "alerts", "--format", "json") == "[]\n"


def test_environment(sidecar: Sidecar) -> None:
    """QUIETPAGER_DATA names the directory, and NO_COLOR or a pipe means no colours."""
    done = quietpager("cost", QUIETPAGER_DATA=str(sidecar.data), FORCE_COLOR="1")

    assert "acme" in done.stdout
    assert "\x1b" not in done.stdout.replace("\x1b[1m", "").replace("\x1b[0m", "")
