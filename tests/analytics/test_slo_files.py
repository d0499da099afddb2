"""OpenSLO files: what is read, and errors that say where and what to write."""

from datetime import timedelta
from pathlib import Path

import pytest

from analytics import Slo, SloError, load_slos, questions
from analytics.slo import GIVEN_BY_EVALUATION, LARGEST
from analytics.statements import read_only

EXAMPLES = Path(__file__).parents[2] / "slo"

VALID = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: ttfb
  displayName: Fast first token
spec:
  service: bot
  indicator:
    metadata: {name: ttfb}
    spec:
      ratioMetric:
        rawType: success
        raw:
          metricSource:
            type: quietpager
            spec:
              question: slo/ttfb
              threshold_ms: 900
  timeWindow:
    - duration: 7d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.9
"""


def test_the_shipped_ones() -> None:
    """Without a file there are the four SLOs an agent team starts with."""
    month = timedelta(days=30)
    assert [(s.name, s.question, s.target, s.window, dict(s.params)) for s in load_slos()] == [
        ("ttfb", "slo/ttfb", 0.95, month, {"threshold_ms": 1500}),
        ("stream-success", "slo/stream_success", 0.995, month, {}),
        ("tool-errors", "slo/tool_errors", 0.98, month, {}),
        ("cost-per-request", "slo/cost_per_request", 0.95, month, {"limit_usd": 0.25}),
    ]


def test_the_examples() -> None:
    """The files that users copy are valid, each alone and all together."""
    assert len(load_slos(EXAMPLES)) == len(list(EXAMPLES.glob("*.yaml")))


def test_a_file(tmp_path: Path) -> None:
    """Everything the file says is in the SLO."""
    file = tmp_path / "slo.yaml"
    file.write_text(VALID)
    assert load_slos(file) == (
        Slo("ttfb", "Fast first token", "slo/ttfb", 0.9, timedelta(days=7), {"threshold_ms": 900}),
    )


def test_a_file_of_several_documents(tmp_path: Path) -> None:
    """Other kinds of OpenSLO documents are passed over; targetPercent is exact."""
    file = tmp_path / "slo.yaml"
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: bot}\nspec: {}\n"
    other = VALID.replace("name: ttfb\n", "name: other\n", 1)
    file.write_text(
        f"{service}---\n{VALID}---\n{other.replace('target: 0.9', 'targetPercent: 99.5')}---\n"
    )
    assert [(slo.name, slo.target) for slo in load_slos(file)] == [("ttfb", 0.9), ("other", 0.995)]


@pytest.mark.parametrize(
    ("text", "instead", "line", "message"),
    [
        ("target: 0.9", "target: 99.5", 24, "must be a ratio between 0 and 1; write 0.995"),
        ("target: 0.9", "target: 1", 24, "target 1 must be a ratio between 0 and 1"),
        ("target: 0.9", "target: high", 24, "'high' must be a number"),
        ("target: 0.9", "targetPercent: 0", 24, "targetPercent 0 must be between 0 and 100"),
        ("target: 0.9", "displayName: p90", 24, "either target or targetPercent"),
        ("    - target: 0.9", "    - target: 0.9\n    - target: 0.8", 23, "exactly one item"),
        ("question: slo/ttfb", "question: slo/ttbf", 17, "no SLO question 'slo/ttbf'; there are "),
        ("question: slo/ttfb", "question: slo/ttfb_series", 17, "no SLO question"),
        ("threshold_ms: 900", "threshold: 900", 18, "threshold is unknown"),
        ("threshold_ms: 900", "threshold_ms: 0", 18, "threshold_ms 0 must be greater than 0"),
        ("threshold_ms: 900", "threshold_ms: .nan", 18, "threshold_ms nan must be greater than 0"),
        ("threshold_ms: 900", "threshold_ms: .inf", 18,
         "threshold_ms inf must be greater than 0, at most 31536000000; write e.g. 1500"),
        ("threshold_ms: 900", "threshold_ms: 1e308", 18, "threshold_ms 1e+308 must be greater"),
        ("slo/ttfb\n              threshold_ms: 900",
         "slo/cost_per_request\n              limit_usd: 1000000000000", 18,
         "limit_usd 1000000000000 must be greater than 0, at most 999999999; write e.g. 0.25"),
        ("threshold_ms: 900", "min_events: 5", 17, "threshold_ms is missing"),
        ("threshold_ms: 900", "threshold_ms: 9\n              min_events: 0.5", 19,
         "must be a whole number from 1"),
        ("type: quietpager", "type: prometheus", 15, "is not supported; write quietpager"),
        ("duration: 7d", "duration: 1M", 20, "duration '1M' must be minutes, hours, days or weeks"),
        ("duration: 7d", "duration: 0d", 20, "duration '0d' must be"),
        ("duration: 7d", "duration: 99999999999d", 20, "is too long"),
        ("isRolling: true", "isRolling: false", 21, "isRolling False is not supported; write true"),
        ("Occurrences", "Timeslices", 22, "'Timeslices' is not supported; write Occurrences"),
        ("openslo/v1", "openslo/v2alpha", 1, "'openslo/v2alpha' is not supported"),
        ("kind: SLO", "kind: Objective", 2, "kind 'Objective' is not supported; write SLO"),
        ("name: ttfb\n", "name: TTFB p95\n", 4, "'TTFB p95' must be lower-case"),
        ("  service: bot", "  services: bot", 7, "spec.services is unknown"),
        ("rawType: success", "rawType: failure", 12, "'failure' is not supported; write success"),
        ("  service: bot", "  service: bot\n  service: bot", 8, "not YAML: "),
        ("spec:\n  service", "spec: [\n  service", 8, "not YAML: "),
    ],
)  # fmt: skip
def test_errors_say_where(tmp_path: Path, text: str, instead: str, line: int, message: str) -> None:
    """An error names the file, the line, the value and the remedy."""
    file = tmp_path / "slo.yaml"
    assert text in VALID
    file.write_text(VALID.replace(text, instead, 1))
    with pytest.raises(SloError) as caught:
        load_slos(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_parameter_has_a_largest_value() -> None:
    """The parameters of the SLO questions are in units whose range is known."""
    for name, question in questions().items():
        if name.startswith("slo/") and not name.endswith("_series"):
            for parameter in read_only(question.sql).named_parameters - GIVEN_BY_EVALUATION:
                assert parameter.rpartition("_")[2] in LARGEST


def test_a_name_given_twice(tmp_path: Path) -> None:
    """Two SLOs of one name could not be told apart."""
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text(VALID)
    with pytest.raises(SloError, match=r"b\.yml:3: SLO 'ttfb' is also in .*a\.yaml"):
        load_slos(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe", "not UTF-8"), (b"", "no SLO in it"),
     (b"- a\n", "must be a mapping")],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A file that is absent, binary, empty or something else is one clear line."""
    file = tmp_path / "slo.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SloError, match=message):
        load_slos(file)
