"""Service level objectives, from OpenSLO v1 files.

What a file may say is what Quietpager does: rolling windows, occurrences, one objective, and as
indicator one of the shipped questions (`metricSource.type: quietpager`), whose parameters stand
beside it. https://github.com/OpenSLO/OpenSLO#slo
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from analytics import yaml_document
from analytics.questions import questions
from analytics.statements import read_only

SHIPPED = Path(__file__).parent / "objectives"
VERSION = "openslo/v1"
OTHER_KINDS = (
    "AlertCondition",
    "AlertNotificationTarget",
    "AlertPolicy",
    "DataSource",
    "SLI",
    "Service",
)
GIVEN_BY_EVALUATION = frozenset({"since", "until", "tenant", "target"})
MIN_EVENTS = 20
"""Fewer events than this make no observation: a p95 of 19 values is their maximum."""

LARGEST = {"ms": (31_536_000_000, "1500"), "usd": (999_999_999, "0.25")}
"""Of a parameter, by its unit: a year, and what the questions' decimals hold; with an example."""

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DURATION = re.compile(r"(\d+)([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

SloError = yaml_document.YamlError
"""An SLO file that cannot be meant; the message is ``file:line: what, and the remedy``."""


@dataclass(frozen=True)
class Slo:
    """A service level objective: what share of which events must be good, over which window."""

    name: str
    title: str
    question: str
    """The shipped question that counts good and total events, such as ``slo/ttfb``."""
    target: float
    """Ratio of good events, between 0 and 1."""
    window: timedelta
    params: Mapping[str, float] = field(default_factory=dict)
    """Values of the question's own parameters, such as ``threshold_ms``."""
    min_events: int = MIN_EVENTS
    """Fewer counted events than this are too few to judge by."""
    description: str = ""


def load_slos(path: Path | None = None) -> tuple[Slo, ...]:
    """The SLOs of a file, or of every YAML file in a directory by name; None: the shipped ones.

    Raises SloError.
    """
    found: dict[str, tuple[Slo, str]] = {}
    for file, shown in _files(SHIPPED if path is None else path):
        for document in yaml_document.read_documents(file, shown):
            slo = _slo(document)
            if slo is None:
                continue
            if slo.name in found:
                other = found[slo.name][1]
                raise document.error(
                    "metadata", f"SLO {slo.name!r} is also in {other}; give each its own name"
                )
            found[slo.name] = slo, shown
    if not found:
        raise SloError(f"{path}: no SLO in it; see the examples in slo/")
    return tuple(slo for slo, _ in found.values())


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.is_dir():
        yield path, str(path)
        return
    for file in sorted(path.iterdir()):
        if file.suffix in (".yaml", ".yml"):
            yield file, str(file)


def _slo(document: yaml_document.Mapping) -> Slo | None:
    document.only("apiVersion", "kind", "metadata", "spec")
    document.expect("apiVersion", VERSION)
    if document.text("kind") in OTHER_KINDS:
        return None
    document.expect("kind", "SLO")
    metadata, spec = document.mapping("metadata"), document.mapping("spec")
    metadata.only("name", "displayName", "labels", "annotations")
    spec.only("description", "service", "indicator", "timeWindow", "budgetingMethod", "objectives")
    spec.expect("budgetingMethod", "Occurrences")
    question, params, min_events = _indicator(spec)
    name = metadata.text("name")
    if not NAME.fullmatch(name):
        raise metadata.error(
            "name", f"metadata.name {name!r} must be lower-case letters, digits and -, at most 63"
        )
    return Slo(
        name=name,
        title=metadata.text("displayName") if "displayName" in metadata.values else name,
        question=question,
        target=_target(spec),
        window=_window(spec),
        params=params,
        min_events=min_events,
        description=spec.text("description") if "description" in spec.values else "",
    )


def _indicator(spec: yaml_document.Mapping) -> tuple[str, dict[str, float], int]:
    indicator = spec.mapping("indicator")
    indicator.only("metadata", "spec")
    sli = indicator.mapping("spec")
    sli.only("ratioMetric", "description")
    metric = sli.mapping("ratioMetric")
    metric.only("counter", "rawType", "raw")
    if "counter" in metric.values:
        metric.expect("counter", value=False)
    metric.expect("rawType", "success")
    raw = metric.mapping("raw")
    raw.only("metricSource")
    source = raw.mapping("metricSource")
    source.only("type", "spec")
    source.expect("type", "quietpager")
    return _measure(source.mapping("spec"))


def _measure(spec: yaml_document.Mapping) -> tuple[str, dict[str, float], int]:
    question = spec.text("question")
    measuring = [
        name for name in questions() if name.startswith("slo/") and not name.endswith("_series")
    ]
    if question not in measuring:
        raise spec.error(
            "question", f"no SLO question {question!r}; there are {', '.join(measuring)}"
        )
    wanted = read_only(questions()[question].sql).named_parameters - GIVEN_BY_EVALUATION
    spec.only("question", "min_events", *sorted(wanted))
    params = {name: spec.number(name) for name in sorted(wanted)}
    for name, value in params.items():
        largest, example = LARGEST[name.rpartition("_")[2]]
        if not 0 < value <= largest:
            raise spec.error(
                name,
                f"{name} {value} must be greater than 0, at most {largest}; write e.g. {example}",
            )
    min_events = spec.number("min_events") if "min_events" in spec.values else MIN_EVENTS
    if not isinstance(min_events, int) or min_events < 1:
        raise spec.error("min_events", f"min_events {min_events} must be a whole number from 1")
    return question, params, min_events


def _target(spec: yaml_document.Mapping) -> float:
    objective = spec.single("objectives")
    objective.only("displayName", "target", "targetPercent")
    if ("target" in objective.values) == ("targetPercent" in objective.values):
        raise objective.error(None, "an objective has either target or targetPercent")
    if "targetPercent" in objective.values:
        percent = objective.number("targetPercent")
        if not 0 < percent < 100:
            raise objective.error(
                "targetPercent", f"targetPercent {percent} must be between 0 and 100"
            )
        return _hundredth(percent)
    target = objective.number("target")
    if 1 < target < 100:
        raise objective.error(
            "target", f"target {target} must be a ratio between 0 and 1; write {_hundredth(target)}"
        )
    if not 0 < target < 1:
        raise objective.error("target", f"target {target} must be a ratio between 0 and 1")
    return target


def _hundredth(percent: float) -> float:
    """Exact in the last digit, which a division by 100 is not."""
    return float(f"{percent}e-2")


def _window(spec: yaml_document.Mapping) -> timedelta:
    window = spec.single("timeWindow")
    window.only("duration", "isRolling")
    window.expect("isRolling", value=True)
    text = window.text("duration")
    if not (parts := DURATION.fullmatch(text)) or int(parts[1]) == 0:
        raise window.error(
            "duration", f"duration {text!r} must be minutes, hours, days or weeks, such as 30d"
        )
    try:
        return timedelta(**{UNITS[parts[2]]: int(parts[1])})
    except OverflowError:
        raise window.error("duration", f"duration {text!r} is too long; write 30d") from None
