"""Whole jobs: blobs by content, payloads that load, settings that travel, the plan as text."""

from __future__ import annotations

import hashlib
import json
import sys

import cloudpickle
import pytest
from graphs import graph, node

from millstream.client.translate import TranslatedJob, render_plan, translate
from millstream.core.api.types import TypeInformation
from millstream.core.errors import JobGraphError
from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.graph.specs import MapSpec, VertexPayload

JOB_ID = "ab" * 16
SETTINGS = {
    "pipeline.generic-types": False,
    "pipeline.max-parallelism": 64,
    "execution.buffer-timeout.interval": 7,
    "pipeline.global-job-parameters": {"a": "b"},
    "taskmanager.memory.segment-size": 131072,
    "jobmanager.rpc.port": 6123,
}


@pytest.fixture
def job() -> TranslatedJob:
    made = graph("source(1) -> map(1):m => reduce(2) -> sink(2)")
    node(made, "m").spec = MapSpec(lambda value: (value, 1))
    node(made, "m").output_type = TypeInformation("thing.Thing", (object,), is_generic=True)
    return translate(made, JOB_ID, SETTINGS)


def test_identity_and_versions(job: TranslatedJob) -> None:
    assert (job.graph.job_id, job.graph.name, job.graph.format_version) == (JOB_ID, "job", PAYLOAD_FORMAT)
    assert job.graph.python_version == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_every_blob_is_named_by_its_content_and_used(job: TranslatedJob) -> None:
    used = {job.graph.modules_blob} - {""}
    for vertex in job.graph.vertices:
        used |= {vertex.payload_blob, vertex.enumerator_blob} - {""}
    assert used == set(job.blobs)
    assert all(hashlib.sha256(data).hexdigest() == key for key, data in job.blobs.items())


def test_payloads_load_and_run(job: TranslatedJob) -> None:
    source, reduced = job.graph.vertices
    payload = cloudpickle.loads(job.blobs[source.payload_blob])
    assert isinstance(payload, VertexPayload)
    assert payload.operators[1].spec.function(5) == (5, 1)
    assert (payload.generic_types, payload.buffer_timeout_ms, len(payload.outputs)) == (False, 7, 1)
    assert source.max_parallelism == 64
    assert cloudpickle.loads(job.blobs[source.enumerator_blob]).values == [1]
    assert not reduced.enumerator_blob


def test_only_settings_of_the_job_travel(job: TranslatedJob) -> None:
    settings = {key: json.loads(value) for key, value in job.graph.configuration.items()}
    assert settings == {key: value for key, value in SETTINGS.items() if key.startswith(("pipeline.", "execution."))}


def test_operator_ids_are_by_node(job: TranslatedJob) -> None:
    assert job.operator_ids[1] == job.graph.vertices[0].vertex_id
    assert sorted(job.operator_ids) == [1, 2, 3, 4]


def test_the_plan_marks_what_may_be_pickled(job: TranslatedJob) -> None:
    text = render_plan(job.graph)
    assert "2 vertices, 3 subtasks, needs 2 slots" in text
    assert "m" in text and "pickled where it travels" in text and "--hash--> [2]" in text


def test_errors_come_before_anything_is_pickled() -> None:
    made = graph("source(2) -> map(3)")
    node(made, "map").spec = MapSpec(iter([]).__next__)
    with pytest.raises(JobGraphError):
        translate(made, JOB_ID, {})
