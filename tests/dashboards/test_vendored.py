"""Third-party files are what they claim to be."""

import hashlib
import tomllib
from pathlib import Path

import dashboards

VENDOR = Path(dashboards.__file__).parent / "static" / "vendor"
RECORDS = tomllib.loads((VENDOR / "VENDORED.toml").read_text("utf-8"))["file"]


def digest(name: str) -> str:
    return hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()


def test_every_file_is_byte_for_byte_the_published_one() -> None:
    """A vendored file or licence that was edited or upgraded in passing is found."""
    for record in RECORDS:
        assert digest(record["name"]) == record["sha256"], record["name"]
        assert digest(record["license_file"]) == record["license_sha256"], record["license_file"]


def test_no_file_is_there_without_a_record() -> None:
    """Each file has a package, a version and a licence on record."""
    recorded = {record["name"] for record in RECORDS}
    recorded |= {record["license_file"] for record in RECORDS}
    assert {path.name for path in VENDOR.iterdir()} == recorded | {"VENDORED.toml"}
    for record in RECORDS:
        assert record["package"]
        assert record["version"]
        assert record["license"]


def test_the_version_on_record_is_the_one_in_the_file() -> None:
    """Where a file states its version, it is the recorded one."""
    versions = {record["name"]: record["version"] for record in RECORDS}
    assert f'version="{versions["htmx.min.js"]}"' in (VENDOR / "htmx.min.js").read_text("utf-8")
    pico = (VENDOR / "pico.fluid.classless.min.css").read_text("utf-8")
    assert f"v{versions['pico.fluid.classless.min.css']} " in pico[:200]
