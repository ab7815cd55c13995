"""Where savepoints go."""

from __future__ import annotations

import json

import pytest

from millstream.jobmanager.checkpointing.settings import savepoint_root

KEY = "execution.checkpointing.savepoint-dir"


@pytest.mark.parametrize(
    ("of_job", "of_cluster", "root"),
    [
        (None, None, "s3://bucket/checkpoints/savepoints"),
        (None, "/shared/cluster", "/shared/cluster"),
        ("/shared/job", None, "/shared/job"),
        ("s3://bucket/job", "/shared/cluster", "s3://bucket/job"),
    ],
)
def test_the_directory_of_savepoints(of_job: str | None, of_cluster: str | None, root: str) -> None:
    configuration = {KEY: json.dumps(of_job)}
    assert savepoint_root(configuration, {KEY: of_cluster}, "s3://bucket/checkpoints") == root
    if of_job is None:
        assert savepoint_root({}, {KEY: of_cluster}, "s3://bucket/checkpoints/") == root
