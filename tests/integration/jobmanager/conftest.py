"""A JobManager of its own for each test; it ends with the test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from jobmanagers import FakeTaskManager, JobManagerProcess


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., JobManagerProcess]]:
    """Start a JobManager with settings as environment variables without their prefix: ``HEARTBEAT_TIMEOUT="1 s"``."""
    started: list[JobManagerProcess] = []

    def make(**settings: str) -> JobManagerProcess:
        home = tmp_path / f"jobmanager-{len(started)}"
        home.mkdir()
        started.append(JobManagerProcess(home, **settings))
        return started[-1]

    yield make
    for jobmanager in started:
        if jobmanager.process.poll() is None:
            assert jobmanager.stop() == 0, jobmanager.log()
        assert "Traceback" not in jobmanager.log(), jobmanager.log()
        assert "the secret of a test" not in jobmanager.log()


@pytest.fixture
def jobmanager(start: Callable[..., JobManagerProcess]) -> JobManagerProcess:
    return start()


@pytest.fixture
def taskmanager() -> Iterator[Callable[..., FakeTaskManager]]:
    """Start TaskManagers that are not registered yet."""
    started: list[FakeTaskManager] = []

    def make(jobmanager: JobManagerProcess, name: str = "tm-1", slots: int = 1) -> FakeTaskManager:
        started.append(FakeTaskManager(jobmanager, name, slots))
        return started[-1]

    yield make
    for made in started:
        made.stop()
