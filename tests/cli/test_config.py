"""What a configuration may say, and what is said when it is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import AlertRule
from cli.addresses import Address
from cli.config import Alert, Config
from cli.failure import Failure
from cli.load import load_config
from cli.toml_lines import line_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "quietpager.toml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine reaches a test."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "CONFIG", "OTLP_HTTP", "RETENTION_DAYS", "ALERTS"):
        monkeypatch.delenv(f"QUIETPAGER_{name}", raising=False)


def refusal(text: str, **options: object) -> str:
    """What is said about a quietpager.toml with this text."""
    Path("quietpager.toml").write_text(text)
    with pytest.raises(Failure) as failure:
        load_config(None, **options)
    assert failure.value.exit_code == 2
    return str(failure.value)


def test_nothing_said() -> None:
    """Without file, environment and options the documented defaults hold."""
    config = load_config()

    assert config.data == Path(".quietpager")
    assert str(config.otlp_http) == "127.0.0.1:4318"
    assert str(config.otlp_grpc) == "127.0.0.1:4317"
    assert str(config.dashboard) == "127.0.0.1:8321"
    assert config.alert_rules() == (AlertRule(),)


def test_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option comes before the environment, that before the file, that before the default."""
    Path("quietpager.toml").write_text('data = "file"\notlp_http = "127.0.0.1:1"')
    assert load_config().data == Path("file")

    monkeypatch.setenv("QUIETPAGER_DATA", "environment")
    assert load_config().data == Path("environment")
    assert load_config(data=Path("option")).data == Path("option")
    assert load_config().otlp_http == Address("127.0.0.1", 1)


def test_option_not_given() -> None:
    """An option left out hides nothing."""
    Path("quietpager.toml").write_text('data = "file"')

    assert load_config(data=None).data == Path("file")


def test_file_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QUIETPAGER_CONFIG names the file; --config comes before it."""
    (tmp_path / "a.toml").write_text("retention_days = 1")
    (tmp_path / "b.toml").write_text("retention_days = 2")
    monkeypatch.setenv("QUIETPAGER_CONFIG", "a.toml")

    assert load_config().retention_days == 1
    assert load_config(Path("b.toml")).retention_days == 2


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A relative path in the file means the same wherever the command is run."""
    file = tmp_path / "etc" / "quietpager.toml"
    file.parent.mkdir()
    file.write_text('data = "data"\nslo = "slo"')

    config = load_config(file)

    assert (config.data, config.slo) == (file.parent / "data", file.parent / "slo")


def test_example_is_the_default() -> None:
    """The example file says what the defaults are, besides its webhook, price and mapping."""
    example = load_config(EXAMPLE).model_copy(update={"data": Path(".quietpager")})

    assert example.alert_rules() == (AlertRule(),)
    for key in set(Config.model_fields) - {"alerts", "webhooks", "prices", "mapping", "kinds"}:
        assert getattr(example, key) == getattr(Config(), key), key


def test_every_part_of_an_alert_can_be_set() -> None:
    """The file knows the same keys as the alert rule, `for` in place of Python's `for_`."""
    assert set(Alert.model_fields) == set(AlertRule.__slots__)

    Path("quietpager.toml").write_text(
        '[[alerts]]\nname = "a"\nfor = "90s"\nwindow = "1h30m"\nmin_samples = 3'
    )
    (rule,) = load_config().alert_rules()

    assert rule == AlertRule(
        name="a", for_=timedelta(seconds=90), window=timedelta(minutes=90), min_samples=3
    )


def test_rows_of_the_mapping_come_before_those_that_ship() -> None:
    """In the order of the file, with their units; kinds likewise."""
    Path("quietpager.toml").write_text(
        '[[mapping]]\ncolumn = "tenant_id"\nattribute = "customer.id"\nscope = "acme*"\n'
        '[[mapping]]\ncolumn = "ttfb_ms"\nattribute = "acme.first_token"\nunit = "s"\n'
        '[[kinds]]\nname = "chat"\nspan_class = "node"\nby = "operation"\n'
    )
    mapping = load_config().attribute_map()

    assert mapping.of("tenant_id")[0].attribute == "customer.id"
    assert (mapping.of("ttfb_ms")[0].attribute, mapping.of("ttfb_ms")[0].scale) == (
        "acme.first_token", 1000,
    )  # fmt: skip
    by, names, classes = mapping.classes[0]
    assert (by, names.to_pylist(), classes.to_pylist()) == ("operation", ["chat"], ["node"])


def test_no_alerts() -> None:
    """An empty list of alerts turns alerting off."""
    Path("quietpager.toml").write_text("alerts = []")

    assert load_config().alert_rules() == ()


def test_webhook_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook's secret is taken from the environment, and is missed when it is not there."""
    text = '[[webhooks]]\nurl = "http://127.0.0.1:9/"\nsecret_env = "HOOK"'
    message = refusal(text)
    assert message == "quietpager.toml:1: webhooks[0]: secret_env 'HOOK' is not set; export it"

    monkeypatch.setenv("HOOK", "s3cret")
    (webhook,) = load_config().webhooks
    assert webhook.channel().secret == "s3cret"
    assert "s3cret" not in load_config().model_dump_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# a comment\n\nretention_dyas = 3",
            "quietpager.toml:3: retention_dyas: unknown key; did you mean retention_days?",
        ),
        (
            '[privacy]\nkeep_content = ["acme"]',
            "quietpager.toml:2: privacy.keep_content: unknown key; did you mean keep_content_for?",
        ),
        (
            '[privacy]\nkeep_content_for = "acme"',
            "quietpager.toml:2: privacy.keep_content_for = 'acme' must be a list",
        ),
        (
            '[privacy]\nkeep_content_for = ["acme", ""]',
            "quietpager.toml:2: privacy.keep_content_for[1] = '' must be a name in quotes",
        ),
        (
            '[[alerts]]\nname = "a"\nwindo = "5m"',
            "quietpager.toml:3: alerts[0].windo: unknown key; did you mean window?",
        ),
        (
            "retention_days = 0",
            "quietpager.toml:1: retention_days = 0 must be greater than or equal to 1",
        ),
        (
            '[[alerts]]\nname = "a"\n[[alerts]]\nname = "b"\nwindow = "5 minutes"',
            (
                "quietpager.toml:5: alerts[1].window: '5 minutes' is not a duration; "
                "write e.g. 90s, 5m, 24h or 7d"
            ),
        ),
        (
            '[[alerts]]\nwindow = "5m"',
            "quietpager.toml:1: alerts[0].name: missing; add it",
        ),
        (
            '[[alerts]]\nname = "a"\nmin_samples = 0',
            (
                "quietpager.toml:1: alerts[0]: alert rule a: min_samples 0 must be at least 1; "
                "write e.g. 20"
            ),
        ),
        (
            '[[alerts]]\nname = "a"\n[[alerts]]\nname = "a"',
            "quietpager.toml: two alerts are named 'a'; give each its own name",
        ),
        (
            'otlp_http = "4318"',
            (
                "quietpager.toml:1: otlp_http: '4318' is not HOST:PORT; "
                "write e.g. 127.0.0.1:4318 or [::1]:4318"
            ),
        ),
        ("data = 5", 'quietpager.toml:1: data = 5 must be a path, e.g. "data"'),
        (
            "otlp_http = 5",
            'quietpager.toml:1: otlp_http = 5 must be HOST:PORT, e.g. "127.0.0.1:4318"',
        ),
        (
            'journal_budget = "4 Zorks"',
            "quietpager.toml:1: journal_budget = '4 Zorks' must be a size, e.g. \"4GiB\"",
        ),
        (
            'journal_budget = "much"',
            "quietpager.toml:1: journal_budget = 'much' must be a size, e.g. \"4GiB\"",
        ),
        (
            "retention_days = 36501",
            "quietpager.toml:1: retention_days = 36501 must be less than or equal to 36500",
        ),
        (
            "tenant_retention_days = { acme = 90 }",
            (
                "quietpager.toml: tenant_retention_days of 'acme' is 90, longer than "
                "retention_days 30, after which every row is deleted; raise retention_days to 90 "
                "and name the tenants that are to be kept for fewer"
            ),
        ),
        (
            "tenant_retention_days = { acme = 36501 }",
            (
                "quietpager.toml:1: tenant_retention_days.acme = 36501 must be "
                "less than or equal to 36500"
            ),
        ),
        ("alerts = 5", "quietpager.toml:1: alerts = 5 must be a list"),
        ("alerts = [5]", "quietpager.toml:1: alerts[0] = 5 must be a table"),
        (
            '[[prices]]\nprovider = "a"\nmodel = "b"\ninput = "x"\noutput = 1',
            "quietpager.toml:4: prices[0].input = 'x' must be a number",
        ),
        (
            '[[mapping]]\ncolumn = "tenant"\nattribute = "customer.id"',
            (
                "quietpager.toml:2: mapping[0].column: no column 'tenant' is taken from "
                "attributes; did you mean tenant_id?"
            ),
        ),
        (
            '[[mapping]]\ncolumn = "span_class"\nattribute = "a"',
            "quietpager.toml:2: mapping[0].column: no column 'span_class' is taken from",
        ),
        (
            '[[mapping]]\ncolumn = "ttfb_ms"\nattribute = "a"\n\nunit = "minutes"',
            (
                "quietpager.toml:5: mapping[0].unit: 'minutes' cannot become ttfb_ms; "
                "known are s, ms, us, ns"
            ),
        ),
        (
            '[[mapping]]\ncolumn = "user_id"\nattribute = "a"\nunit = "s"',
            "quietpager.toml:4: mapping[0].unit: 's' cannot become user_id; user_id has no unit",
        ),
        (
            '[[mapping]]\ncolumn = "user_id"\nattribut = "a"',
            "quietpager.toml:1: mapping[0].attribute: missing; add it",
        ),
        (
            '[[mapping]]\ncolumn = "user_id"\nattribute = "a"\non = "scope"',
            ("quietpager.toml:4: mapping[0].on = 'scope' must be 'record', 'resource' or 'event'"),
        ),
        (
            '[[mapping]]\ncolumn = "user_id"\nattribute = "a"\non = "event"',
            'quietpager.toml:1: mapping[0]: event names the span event of on = "event"; give both',
        ),
        (
            '[[mapping]]\ncolumn = "user_id"\nattribute = "a"\n' * 2,
            "quietpager.toml: mapping of 'a' to user_id stands there twice; take one out",
        ),
        (
            '[[kinds]]\nname = "acme.lookup"\nspan_class = "function"',
            (
                "quietpager.toml:3: kinds[0].span_class = 'function' must be 'agent', 'llm', "
                "'tool', 'node' or 'other'"
            ),
        ),
        (
            '[[kinds]]\nname = "a"\nspan_clas = "tool"',
            "quietpager.toml:1: kinds[0].span_class: missing; add it",
        ),
        ('\n\ndata = "a', "quietpager.toml:3: not TOML: "),
        ('data = "a"\ndata = "b"', "quietpager.toml:2: not TOML: cannot overwrite a value"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    """A fault in the file is told by line, key, value and remedy, in one line."""
    told = refusal(text)

    assert told.startswith(message)
    assert "\n" not in told


def test_wrong_option() -> None:
    """A bad option is told as the option, not as a line of the file."""
    Path("quietpager.toml").write_text('otlp_http = "127.0.0.1:1"')

    with pytest.raises(Failure, match=r"^--otlp-http: ':::' is not HOST:PORT"):
        load_config(otlp_http=":::")


def test_wrong_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad environment variable is told by its name."""
    monkeypatch.setenv("QUIETPAGER_RETENTION_DAYS", "many")
    with pytest.raises(Failure, match=r"^QUIETPAGER_RETENTION_DAYS = 'many' must"):
        load_config()

    monkeypatch.delenv("QUIETPAGER_RETENTION_DAYS")
    monkeypatch.setenv("QUIETPAGER_WEBHOOKS", "{")
    with pytest.raises(Failure, match=r"webhooks.*write JSON"):
        load_config()


def test_no_such_file() -> None:
    """A file that was named must be there."""
    with pytest.raises(Failure, match=r"^gone\.toml: No such file or directory"):
        load_config(Path("gone.toml"))


@given(
    st.lists(st.sampled_from(["# note", "", 'a{n} = "x"', "a{n} = [\n 1,\n 2,\n]", "[t{n}]"])),
    st.integers(0, 3),
)
def test_line_of(lines: list[str], blank: int) -> None:
    """The line told is the one on which the statement begins, whatever stands around it."""
    before = "\n".join(line.format(n=n) for n, line in enumerate(lines)) + "\n" * blank
    text = f"{before}\n[sought]\nkey = [\n  1,\n]\nlast = 1"
    expected = len(f"{before}\n".splitlines()) + 2

    assert line_of(text, ("sought", "key")) == expected
    assert line_of(text, ("sought", "key", 0)) == expected
    assert line_of(text, ("sought", "gone")) == expected - 1
    assert line_of(text, ("nowhere",)) is None
