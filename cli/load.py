"""Reads the configuration, and says in one line what is wrong with it."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from cli.config import (
    FILE,
    FILE_VARIABLE,
    PREFIX,
    Alert,
    Config,
    Price,
    Webhook,
)
from cli.failure import Failure
from cli.mapping_rows import KindRow, MappingRow
from cli.toml_lines import line_of

USAGE = 2
PATHS = ("data", "slo")
WANTED = {
    "byte_size": 'a size, e.g. "4GiB"',
    "byte_size_unit": 'a size, e.g. "4GiB"',
    "dataclass_type": 'HOST:PORT, e.g. "127.0.0.1:4318"',
    "date_from_datetime_inexact": "a date, e.g. 2026-07-01",
    "date_from_datetime_parsing": "a date, e.g. 2026-07-01",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": 'a path, e.g. "data"',
    "string_type": "a text in quotes",
    "time_delta_type": 'a duration, e.g. "5m"',
    "tuple_type": "a list",
}
"""What to write instead, by pydantic's type of the fault, where its message speaks of Python."""
TABLES: Mapping[str, type[BaseModel]] = {
    "alerts": Alert,
    "webhooks": Webhook,
    "prices": Price,
    "mapping": MappingRow,
    "kinds": KindRow,
}


@dataclass(frozen=True)
class ConfigFile:
    """A parsed ``quietpager.toml``."""

    path: Path
    text: str
    document: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The document, its relative paths made relative to its directory."""
        resolved = {
            key: str(self.path.parent / Path(value).expanduser())
            for key in PATHS
            if isinstance(value := self.document.get(key), str)
        }
        return {**self.document, **resolved}


def load_config(file: Path | None = None, **options: Any) -> Config:
    """The configuration: options that are not None, environment, file, defaults, in this order.

    ``file`` is read, or else the one QUIETPAGER_CONFIG names, or else ``./quietpager.toml`` if it
    is there. :raises Failure: with exit code 2 when something is wrong with any of it.
    """
    _refuse_misspelt(os.environ)
    given = {name: value for name, value in options.items() if value is not None}
    source = _read(file)

    class Sourced(Config):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_file = InitSettingsSource(settings_cls, source.settings if source else {})
            return init_settings, env_settings, from_file

    try:
        return Sourced(**given)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise Failure(_explain(faults[0], given, source), USAGE) from None
    except SettingsError as error:
        reason = error.__cause__ or error
        raise Failure(f"environment: {error}: {reason}; write JSON", USAGE) from None


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Only near misses: Kubernetes sets QUIETPAGER_PORT and more beside a service of that name."""
    known = [f"{PREFIX}{name.upper()}" for name in Config.model_fields]
    for variable in environment.keys() - {*known, FILE_VARIABLE}:
        near = get_close_matches(variable, known, n=1, cutoff=0.9)
        if near and variable.startswith(PREFIX):
            raise Failure(f"{variable}: unknown setting; did you mean {near[0]}?", USAGE)


def _read(file: Path | None) -> ConfigFile | None:
    named = file or (Path(v) if (v := os.environ.get(FILE_VARIABLE)) else None)
    path = named or FILE
    if named is None and not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; name a readable file", USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"{path}: not UTF-8 text; save it as UTF-8", USAGE) from None
    try:
        return ConfigFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).partition(" (at ")
        line = where.removeprefix("line ").partition(",")[0]
        number = line if line.isdigit() else len(text.splitlines())
        raise Failure(f"{path}:{number}: not TOML: {what[:1].lower()}{what[1:]}", USAGE) from None


def _explain(
    fault: Mapping[str, Any], given: Mapping[str, object], source: ConfigFile | None
) -> str:
    location: tuple[str | int, ...] = fault["loc"]
    subject = _subject(location, given, source)
    problem = str(fault["msg"])
    match fault["type"]:
        case "extra_forbidden":
            return f"{subject}: unknown key{_suggest(location)}"
        case "missing":
            return f"{subject}: missing; add it"
        case "value_error":
            return f"{subject}: {fault['ctx']['error']}"
    wanted = WANTED.get(str(fault["type"]), problem.removeprefix("Input should be "))
    return f"{subject} = {fault['input']!r} must be {wanted}"


def _subject(
    location: Sequence[str | int], given: Mapping[str, object], source: ConfigFile | None
) -> str:
    """What was said and by whom: an option, an environment variable, or a line of the file."""
    top = str(location[0]) if location else ""
    key = _key(location)
    if top in given:
        return f"--{top.replace('_', '-')}"
    if os.environ.get(variable := f"{PREFIX}{top.upper()}"):
        return f"{variable}{key.removeprefix(top)}"
    if source is None:
        return key or "configuration"
    line = line_of(source.text, location)
    place = f"{source.path}:{line}" if line else str(source.path)
    return f"{place}: {key}" if key else place


def _key(location: Sequence[str | int]) -> str:
    """``("alerts", 0, "window")`` -> ``alerts[0].window``."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in location
    ).removeprefix(".")


def _suggest(location: Sequence[str | int]) -> str:
    """What the unknown key was probably meant to be, or which keys there are."""
    known = _keys_beside(location)
    near = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _keys_beside(location: Sequence[str | int]) -> list[str]:
    model = TABLES[str(location[0])] if len(location) > 1 else Config
    return [field.alias or name for name, field in model.model_fields.items()]
