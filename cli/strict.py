"""How the models of tables in quietpager.toml are checked: every key, and nothing is changed."""

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
