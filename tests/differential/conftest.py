"""One cluster and one DuckDB for all cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.testing import MiniCluster
from tests.differential import paced
from tests.differential.case import Case
from tests.differential.inputs import TABLES
from tests.differential.oracle import Oracle
from tests.differential.runs import Run, Runner
from tests.differential.suite import ORACLE, Suite

SLOTS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-runs", action="store_true", help="every case in every run, also those that take long")
    parser.addoption("--sample-seed", type=int, default=0, help="other seeds, other cases for the runs that take long")


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """The cluster outlives the tests; ``MiniCluster`` itself ends what it started."""
    yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all tables."""
    directory = tmp_path_factory.mktemp("tables")
    for table in TABLES.values():
        table.write(directory)
    return directory


@pytest.fixture(scope="session")
def oracle(data: Path) -> Iterator[Oracle]:
    made = Oracle(data)
    yield made
    made.close()


@pytest.fixture(scope="session")
def runner(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    connectors = tmp_path_factory.mktemp("connectors")
    paced.install(connectors)
    try:
        with MiniCluster(taskmanagers=1, slots=SLOTS) as cluster:
            yield Runner(cluster, data, tmp_path_factory.mktemp("runs"))
    finally:
        paced.uninstall(connectors)


@pytest.fixture(scope="session")
def suite(runner: Runner, oracle: Oracle, request: pytest.FixtureRequest) -> Suite:
    wanted: dict[Run, list[Case]] = {run: [] for run in Run}
    for item in request.session.items:
        parameters = getattr(item, "callspec", None)
        if parameters is None or not isinstance(parameters.params.get("case"), Case):
            continue
        case, run = parameters.params["case"], parameters.params["run"]
        if case not in wanted[Run.CLEAN]:
            wanted[Run.CLEAN].append(case)
        if run != ORACLE:
            wanted[Run(run)].append(case)
    return Suite(runner, oracle, wanted)
