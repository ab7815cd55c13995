"""Only jobs of SQL and tables make a TaskManager load what tables need."""

import json

import pytest

from millstream.core.config import load
from millstream.core.config.options import TABLE_LOCAL_TIME_ZONE
from millstream.core.table.table_jobs import is_of_tables


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        (load(environ={}).flatten(), False),
        ({TABLE_LOCAL_TIME_ZONE.key: "Europe/Berlin"}, True),
        ({TABLE_LOCAL_TIME_ZONE.key: "UTC"}, True),
    ],
    ids=["nothing set", "a job of streams with every default", "a session with a zone", "a session at UTC"],
)
def test_jobs_of_tables_are_known_by_the_zone_of_their_session(settings: dict[str, object], expected: bool) -> None:
    assert is_of_tables({key: json.dumps(value) for key, value in settings.items()}) is expected
