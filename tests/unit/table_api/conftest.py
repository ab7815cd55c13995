"""A table environment with a few tables; nothing runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from millstream.client.session import Session, set_current_session
from millstream.core.config import load
from millstream.table import TableEnvironment

TABLES = [
    "CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3), "
    "WATERMARK FOR ts AS ts - INTERVAL '4' SECOND) WITH ('connector' = 'datagen')",
    "CREATE TABLE auction (id BIGINT, seller BIGINT, category INT, expires TIMESTAMP(3)) "
    "WITH ('connector' = 'datagen')",
    "CREATE TABLE item (info ROW<id BIGINT, name STRING, tags ARRAY<STRING>>, kind INT, m MAP<STRING, INT>) "
    "WITH ('connector' = 'datagen')",
    "CREATE TABLE output (auction BIGINT, n BIGINT) WITH ('connector' = 'blackhole')",
]


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    session = Session(load(None, {}))
    set_current_session(session)
    made = TableEnvironment.create()
    for statement in TABLES:
        made.execute_sql(statement)
    yield made
    session.close()
    set_current_session(None)
