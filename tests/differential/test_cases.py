"""Each case gives the same rows in all runs, and those that DuckDB gives for the same files."""

from __future__ import annotations

import pytest

from tests.differential.case import Case, all_cases
from tests.differential.runs import CHECKPOINTS, Runner
from tests.differential.suite import ORACLE, Suite, chosen, runs_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    all_runs = bool(config.getoption("--all-runs", default=False))
    seed = config.getoption("--sample-seed", default=0)
    cases = list(all_cases().values())
    often = chosen(cases, seed)
    pairs = [
        pytest.param(case, run, id=f"{case.name}-{run}")
        for case in cases
        for run in runs_of(case, all_runs)
        if run == ORACLE or all_runs or case.name in often
    ]
    metafunc.parametrize(("case", "run"), pairs)


def test_agrees(case: Case, run: str, suite: Suite) -> None:
    repeat = f'python -m pytest "tests/differential/test_cases.py::test_agrees[{case.name}-{run}]" --all-runs'
    try:
        differing = suite.compare(case, run)
    except Exception as error:
        pytest.fail(f"{case.path}\n{type(error).__name__}: {error}\nRepeat: {repeat}", pytrace=False)
    if differing:
        pytest.fail(f"{case.path}\n{differing}\nRepeat: {repeat}", pytrace=False)


def test_restored_runs_were_in_the_middle(runner: Runner, suite: Suite) -> None:
    """Stands last: looks at what the runs before it went through."""
    for restoration in runner.restorations:
        assert restoration.checkpoints >= CHECKPOINTS
        assert restoration.restored_from > 0
        assert any(restoration.savepoint.rglob("*")), f"{restoration.savepoint} is empty"
