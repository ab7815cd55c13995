"""Queries of a seed give what DuckDB gives, and go on from a savepoint."""

from __future__ import annotations

import pytest

from tests.differential.case import Case
from tests.differential.random_queries import random_cases
from tests.differential.runs import Run
from tests.differential.suite import ORACLE, Suite

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

COUNT = 32
RESTORED = 8


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seed = metafunc.config.getoption("--sample-seed", default=0)
    cases = random_cases(seed, COUNT)
    pairs = [(case, ORACLE) for case in cases] + [(case, Run.RESTORED.value) for case in cases[:RESTORED]]
    metafunc.parametrize(("case", "run"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}") for pair in pairs])


def test_agrees(case: Case, run: str, suite: Suite, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--sample-seed", default=0)
    repeat = f'python -m pytest "tests/differential/test_random_queries.py::test_agrees[{case.name}-{run}]"'
    try:
        differing = suite.compare(case, run)
    except Exception as error:
        differing = f"{type(error).__name__}: {error}"
    if differing:
        pytest.fail(f"{case.query.text}\n{differing}\nRepeat: {repeat} --sample-seed {seed}", pytrace=False)
