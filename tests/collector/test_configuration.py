"""otel-collector.yaml by itself: it is valid, and it runs in the image that compose names."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML


def load(path: Path) -> Any:
    """The YAML document of a file."""
    return YAML(typ="safe").load(path.read_text())


@pytest.mark.collector
def test_the_collector_accepts_the_configuration(collector_binary: Path, repository: Path) -> None:
    """`otelcol validate` finds nothing wrong with the shipped file and its defaults."""
    command: list[str | Path] = [
        collector_binary,
        "validate",
        "--config",
        repository / "otel-collector.yaml",
    ]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.collector
def test_a_wrong_configuration_is_refused(
    collector_binary: Path, repository: Path, tmp_path: Path
) -> None:
    """Validation is not a formality: a misspelt receiver makes it fail."""
    wrong = tmp_path / "wrong.yaml"
    shipped = (repository / "otel-collector.yaml").read_text()
    wrong.write_text(shipped.replace("  file_log:", "  filelog_typo:"))
    command: list[str | Path] = [collector_binary, "validate", "--config", wrong]
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_the_tests_run_the_version_that_compose_runs(repository: Path) -> None:
    """The built collector and the image are of one version, down to every contrib module."""
    manifest = load(repository / "collector" / "builder-config.yaml")
    compose = load(repository / "docker-compose.yml")
    version = manifest["dist"]["version"]
    image = compose["services"]["collector"]["image"]
    assert image == f"otel/opentelemetry-collector-contrib:{version}"
    modules = [
        component["gomod"]
        for kind in ("receivers", "processors", "exporters", "extensions")
        for component in manifest[kind]
    ]
    assert {module.split()[1] for module in modules} == {f"v{version}"}


def test_every_pipeline_drops_content_and_masks_secrets(repository: Path) -> None:
    """No signal leaves by a pipeline without the two processors that take content out."""
    pipelines = load(repository / "otel-collector.yaml")["service"]["pipelines"]
    assert set(pipelines) == {"traces", "logs", "metrics"}
    for pipeline in pipelines.values():
        assert pipeline["processors"] == ["memory_limiter", "transform/drop_content", "redaction"]
