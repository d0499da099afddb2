"""What users are told when they get something wrong: one line, a reason, an exit code."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command

from cli.app import answer, app
from tests.sidecar import COMMAND, ENVIRONMENT


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("QUIETPAGER_DATA", "QUIETPAGER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    Path("wrong.toml").write_text("retention_dyas = 3")
    Path("wrong.sql").write_text("SELEC 1")
    Path("slo.yaml").write_text("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: A}\n")
    Path("slo.toml").write_text('slo = "slo.yaml"')
    Path(".quietpager").mkdir()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        ("sqll", 2, "No such command 'sqll'. Did you mean 'sql'"),
        ("sql --frmat csv", 2, "No such option: --frmat (Possible options: --data, --format)"),
        ("sql --format xml x", 2, "'xml' is not one of 'table', 'csv', 'json', 'jsonl', 'parquet'"),
        ("sql -f gone.sql", 2, "gone.sql: No such file or directory; name a readable SQL file"),
        ("sql -f wrong.sql", 1, "syntax error at or near"),
        ("sql -f wrong.sql 1", 2, "give QUERY or --file, not both"),
        ("sql --param tenant 1", 2, "--param 'tenant' is not k=v; write e.g. --param tenant=acme"),
        ("sql --config wrong.toml 1", 2, "wrong.toml:1: retention_dyas: unknown key; did you mean"),
        ("sql --config gone.toml 1", 2, "gone.toml: No such file or directory"),
        ("slo --window 5", 2, "--window '5' is not a duration; write e.g. 90s, 5m, 24h or 7d"),
        ("slo --window 0h", 2, "--window '0h' is no time at all; write e.g. 24h"),
        ("slo --data wrong.sql", 2, "wrong.sql: not a directory; name the data directory"),
        ("slo --config slo.toml", 2, "slo.yaml:"),
        ("slo check --config slo.toml", 2, "slo.yaml:"),
        ("cost --by tenent", 2, "--by 'tenent': unknown dimension 'tenent'; did you mean tenant?"),
        ("cost --by sum", 2, "choose from tenant, user, agent, feature, provider, model, day"),
        ("cost --since then", 2, "--since 'then' is neither a duration nor a date"),
        ("tools --by tool,user", 2, "--by 'tool,user': unknown dimension 'user'"),
        ("thread t-1", 1, "no span or log line of thread 't-1'"),
        ("thread", 2, "Missing argument 'ID'"),
        ("verify --data gone", 2, "gone: no data there; name the directory with --data"),
        ("verify --data .", 2, ": no data there; name the directory with --data"),
        ("alerts --limit 0", 2, "Invalid value for '--limit'"),
        ("up --otlp-http 4318", 2, "--otlp-http: '4318' is not HOST:PORT"),
        ("up --data wrong.sql", 2, "wrong.sql: Not a directory; choose a directory"),
        ("up --data a[b]", 2, "a[b]' has '[' in its path, with which no table can be kept; rename"),
        ("up --otlp-http nowhere.invalid:0", 1, "'nowhere.invalid' is not an address of this"),
        ("up --otlp-http 127.0.0.1:4999 --otlp-grpc 127.0.0.1:4999", 2, "OTLP/HTTP listens there"),
        ("up --dashboard 192.0.2.1:0", 1, "Dashboard cannot listen on 192.0.2.1:0: cannot assign"),
    ],
)
def test_refusal(
    arguments: str, exit_code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake gets one line on stderr that names the thing, the value and the remedy."""
    code = answer(arguments.split())
    captured = capsys.readouterr()

    assert code == exit_code
    assert captured.out == ""
    assert captured.err.startswith("quietpager: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not Path("gone").exists()
    assert not Path("state").exists()


def test_no_data_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without data reads as empty, with a word in case the name is wrong."""
    assert answer(["sql", "--data", str(tmp_path / "gone"), "--format", "csv",
                   "SELECT count(*) AS n FROM runs"]) == 0  # fmt: skip
    captured = capsys.readouterr()

    assert captured.out == "n\n0\n"
    assert "no data yet; run quietpager up" in captured.err
    assert not (tmp_path / "gone").exists()


def test_reader_goes_away() -> None:
    """A reader that has enough, such as head, ends the command quietly."""
    query = "SELECT repeat('x', 1000) AS x FROM range(100000)"
    with subprocess.Popen(
        (*COMMAND, "sql", "--format", "jsonl", query),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 141, "not 1: that is a verdict of slo check"


def test_closed_streams() -> None:
    """A caller that closes stdout, as `>&-` does, wants the exit code only."""
    command = f"exec {' '.join(COMMAND)} sql 'SELECT 1' >&- <&-"
    done = subprocess.run(
        ("sh", "-c", command), capture_output=True, text=True, check=False, env=ENVIRONMENT
    )

    assert (done.returncode, done.stdout, done.stderr.count("Traceback")) == (0, "", 0)


def test_ctrl_c_ends_a_query(tmp_path: Path) -> None:
    """Ctrl-C ends a long query at once, with the exit code that shells give an interrupt."""
    spill = tmp_path / "spill"
    spill.mkdir()
    query = "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range"
    with subprocess.Popen(
        (*COMMAND, "sql", query), stderr=subprocess.PIPE, text=True,
        env=ENVIRONMENT | {"TMPDIR": str(spill)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        deadline = time.monotonic() + 30
        while not any(spill.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert "Traceback" not in process.stderr.read()
    assert not any(spill.iterdir()), "what it spilt is left behind"


def test_misspelt_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A near miss of a setting is refused; what Kubernetes sets beside a service is not ours."""
    monkeypatch.setenv("QUIETPAGER_SERVICE_PORT_OTLP_HTTP", "4318")
    assert answer(["sql", "SELECT 1"]) == 0

    monkeypatch.setenv("QUIETPAGER_RETENTION_DYAS", "3")
    assert answer(["sql", "SELECT 1"]) == 2
    assert "did you mean QUIETPAGER_RETENTION_DAYS?" in capsys.readouterr().err


def test_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Help of every command, and of quietpager itself, has an example that starts with its name."""
    commands = {"": (), "slo check": ("slo", "check")}
    commands |= {name: (name,) for name in get_command(app).commands}  # type: ignore[attr-defined]
    assert {"up", "sql", "slo", "cost", "thread", "demo"} <= commands.keys()
    for name, words in commands.items():
        assert answer([*words, "--help"]) == 0
        assert f"quietpager {name}".rstrip() in capsys.readouterr().out.partition("Example")[2]


def test_help_is_light() -> None:
    """Help and completion load nothing that takes long."""
    heavy = {"duckdb", "pyarrow", "deltalake", "fastapi", "pydantic", "httpx", "grpc"}
    code = (
        "import sys; from cli.app import answer; answer(['--help']);"
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, env=ENVIRONMENT
    )

    assert done.stdout.splitlines()[-1] == "set()"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is told as `quietpager 1.2.3`."""
    assert answer(["--version"]) == 0
    assert capsys.readouterr().out.startswith("quietpager ")
