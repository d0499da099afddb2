"""The benchmark of questions answers what it says it answers, over a lake of its own."""

import json

import pytest

from tests.benchmarks.conftest import Run


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_short_run_gives_every_figure(run: Run) -> None:
    """One JSON object with, for each size, each question's time beside that of reading once."""
    answer = run("--seconds", "0.01", "--spans", "400", "--json")
    assert answer.returncode == 0, answer.stderr
    of_size = json.loads(answer.stdout.splitlines()[-1])["400"]
    assert of_size.pop("read_s") > 0
    assert of_size.keys() == {
        f"{question}_{figure}"
        for question in ("alert", "page", "query")
        for figure in ("s", "cpu_s", "to_read", "cpu_anew_to_cpu")
    }
    assert all(figure > 0 for figure in of_size.values())


def test_a_size_that_cuts_traces_is_refused(run: Run) -> None:
    """One line that names the value and what it must be."""
    answer = run("--spans", "500")
    assert answer.returncode == 2
    assert "500: each must be a multiple of 400" in answer.stderr
