"""Planning a query is cheap: what takes long to import is imported by the tasks that need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLANS = """
import sys
from millstream.table import EnvironmentSettings, TableEnvironment
env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
env.execute_sql(
    "CREATE TABLE bid (price DECIMAL(10, 2), name STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) "
    "WITH ('connector' = 'values', 'data' = '[]')"
)
env.explain_sql(
    "SELECT price * 2, SPLIT_INDEX(name, ',', 1), DATE_FORMAT(ts, 'yyyy-MM-dd') FROM bid WHERE ts > TO_TIMESTAMP(name)"
)
"""
SHOWS = "\nprint([m for m in ('numba', 'polars', 'millstream.taskmanager') if m in sys.modules])"


@pytest.mark.parametrize("program", ["import sys, millstream.table", PLANS], ids=["import", "plan"])
def test_planning_imports_no_compiler(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program + SHOWS], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
