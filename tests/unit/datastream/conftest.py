"""A session with fixed settings, and a submitter that records what it gets instead of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream.client.session import Session, set_current_session
from millstream.client.submit import set_submitter
from millstream.client.translate import TranslatedJob
from millstream.core.api.job import JobExecutionResult
from millstream.core.config import load
from millstream.datastream import StreamExecutionEnvironment


class RecordedJob:
    """Stands in for ``JobClient``."""

    def __init__(self, translated: TranslatedJob, values: list[Any]) -> None:
        self.translated = translated
        self.has_ended = False
        self.cancelled = False
        self._values = values

    def wait(self) -> JobExecutionResult:
        self.has_ended = True
        return JobExecutionResult(self.translated.graph.job_id, self.translated.graph.name)

    def wait_until_ended(self, listeners: list[Any], timeout_s: float | None = None) -> object | None:
        return object() if self.has_ended or self.cancelled else None

    def results(self, operator_id: str) -> Iterator[Any]:
        assert operator_id in {o.operator_id for v in self.translated.graph.vertices for o in v.operators}
        yield from self._values
        self.has_ended = True

    def cancel(self) -> None:
        self.cancelled = True


class RecordingSubmitter:
    """Keeps the jobs; their results are ``values``."""

    def __init__(self) -> None:
        self.jobs: list[RecordedJob] = []
        self.values: list[Any] = []
        self.failure: Exception | None = None

    def submit(self, translated: TranslatedJob) -> Any:
        if self.failure is not None:
            raise self.failure
        job = RecordedJob(translated, self.values)
        self.jobs.append(job)
        return job


@pytest.fixture(autouse=True)
def submitter() -> Iterator[RecordingSubmitter]:
    recording = RecordingSubmitter()
    set_current_session(Session(load(overrides={"parallelism.default": 4})))
    set_submitter(recording)
    yield recording
    set_submitter(None)
    set_current_session(None)


@pytest.fixture
def env() -> StreamExecutionEnvironment:
    return StreamExecutionEnvironment.get_execution_environment()
