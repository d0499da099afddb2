"""The image and the compose file, checked without a container runtime."""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

DEFAULT_PORTS = {"4317", "4318", "8321"}


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, continuation lines joined."""

    name: str
    arguments: str


@pytest.fixture(scope="module")
def instructions(repository: Path) -> list[Instruction]:
    """The instructions of the Dockerfile; hadolint, in `make lint`, vouches for their syntax."""
    text = (repository / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line.strip() for line in text.splitlines()]
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line and line[0] != "#"]


@pytest.fixture(scope="module")
def final_stage(instructions: list[Instruction]) -> list[Instruction]:
    """What the image that is shipped is made of."""
    last_from = max(i for i, instruction in enumerate(instructions) if instruction.name == "FROM")
    return instructions[last_from:]


@pytest.fixture(scope="module")
def compose(repository: Path) -> Any:
    """The compose file, merge keys resolved."""
    return YAML(typ="safe").load((repository / "docker-compose.yml").read_text())


def only(stage: list[Instruction], name: str) -> str:
    """The arguments of the one instruction of that name."""
    (found,) = [instruction.arguments for instruction in stage if instruction.name == name]
    return found


def test_the_image_is_built_on_exact_versions(instructions: list[Instruction]) -> None:
    """Both stages start from one full version of the slim Python image."""
    bases = {i.arguments.split()[0] for i in instructions if i.name == "FROM"}
    (base,) = bases
    version = base.removeprefix("python:").split("-")[0]
    assert version.startswith("3.11.")
    assert "-slim-" in base


def test_dependencies_are_installed_by_hash(instructions: list[Instruction]) -> None:
    """pip checks hashes for what it fetches, and fetches nothing when it installs Quietpager."""
    installs = [i.arguments for i in instructions if "pip install" in i.arguments]
    assert installs == [
        "pip install --require-hashes -r requirements.txt",
        "pip install --no-index --no-deps --no-build-isolation .",
    ]


def test_the_container_does_not_run_as_root(final_stage: list[Instruction]) -> None:
    """The user is a number, so that Kubernetes' runAsNonRoot can check it."""
    user, group = only(final_stage, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_container_says_whether_it_is_healthy(final_stage: list[Instruction]) -> None:
    """The health check asks the dashboard whether it can answer."""
    assert "http://127.0.0.1:8321/readyz" in only(final_stage, "HEALTHCHECK")


def test_every_copied_path_is_in_the_build_context(
    repository: Path, instructions: list[Instruction]
) -> None:
    """Each COPY source exists and .dockerignore lets it through; each let through is copied."""
    copies = [shlex.split(i.arguments) for i in instructions if i.name == "COPY"]
    copied = {source for copy in copies if "--from=build" not in copy for source in copy[:-1]}
    ignore = (repository / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert [source for source in copied if not (repository / source).exists()] == []


def test_the_ports_are_the_defaults(final_stage: list[Instruction]) -> None:
    """What is exposed, what the command listens on and the documented defaults are the same."""
    assert set(only(final_stage, "EXPOSE").split()) == DEFAULT_PORTS
    command = json.loads(only(final_stage, "CMD"))
    assert {part.split(":")[1] for part in command if ":" in part} == DEFAULT_PORTS


def test_the_command_is_one_that_the_cli_takes(final_stage: list[Instruction]) -> None:
    """Every option in CMD is an option of the command it names."""
    command, *options = json.loads(only(final_stage, "CMD"))
    quietpager = Path(sys.executable).with_name("quietpager")
    helped = subprocess.run([quietpager, command, "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    for option in options[::2]:
        assert option in helped.stdout


def test_the_compose_file_follows_the_specification(repository: Path) -> None:
    """It is valid by the schema of the Compose Specification."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    answer = subprocess.run(
        [*check, repository / "docker-compose.yml"], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout


def test_every_image_is_pinned_and_unprivileged(compose: Any) -> None:
    """No service takes `latest`, adds a capability, runs privileged or as root."""
    for service in compose["services"].values():
        tag = service["image"].rpartition(":")[2]
        assert tag[0].isdigit()
        assert not {"privileged", "cap_add"} & set(service)
        assert service.get("user", "10001") not in {"0", "root"}


def test_ports_are_published_to_this_host_only(compose: Any) -> None:
    """Nothing without a login is reachable from the network unless someone decides so."""
    published = [port for s in compose["services"].values() for port in s.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_every_mount_is_declared_or_in_the_checkout(repository: Path, compose: Any) -> None:
    """Named volumes are declared; bind mounts exist; the image makes each volume's directory."""
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (repository / source).exists()
            else:
                assert source in compose["volumes"]
    dockerfile = (repository / "Dockerfile").read_text()
    for mount in compose["services"]["prepare-volumes"]["volumes"]:
        assert mount.split(":")[1] in dockerfile


def test_the_collector_sends_to_the_port_that_quietpager_listens_on(
    compose: Any, final_stage: list[Instruction]
) -> None:
    """The collector's target is the service by its name, on the OTLP/HTTP port of the image."""
    command = json.loads(only(final_stage, "CMD"))
    port = command[command.index("--otlp-http") + 1].split(":")[1]
    assert compose["services"]["collector"]["environment"]["INGEST_URL"] == (
        f"http://quietpager:{port}"
    )


def test_compose_sets_only_variables_that_the_collector_reads(
    repository: Path, compose: Any
) -> None:
    """A misspelt variable would silently leave its default in force."""
    configuration = (repository / "otel-collector.yaml").read_text()
    for name in compose["services"]["collector"]["environment"]:
        assert f"${{env:{name}:-" in configuration
