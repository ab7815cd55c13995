"""Where savepoints go."""

from __future__ import annotations

import json

import pytest

from millstream.jobmanager.checkpointing.settings import savepoint_root

KEY = "execution.checkpointing.savepoint-dir"


@pytest.mark.parametrize(
    ("configuration", "root"),
    [
        ({}, "s3://bucket/checkpoints/savepoints"),
        ({KEY: json.dumps(None)}, "s3://bucket/checkpoints/savepoints"),
        ({KEY: json.dumps("/shared/job")}, "/shared/job"),
        ({KEY: json.dumps("s3://other/job")}, "s3://other/job"),
    ],
)
def test_the_directory_of_savepoints(configuration: dict[str, str], root: str) -> None:
    assert savepoint_root(configuration, "s3://bucket/checkpoints/") == root
