from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline(
    collector_binary: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """The shipped configuration in a real collector, in front of a real sidecar, all running."""
    made = Pipeline(collector_binary, repository, tmp_path_factory.mktemp("pipeline"))
    try:
        made.sidecar.start()
        made.collector.start()
        yield made
    finally:
        made.collector.end()
        made.sidecar.end()
