"""The answers of others over the same files: DuckDB, or a function in plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import duckdb

from tests.differential.case import Case
from tests.differential.inputs import TABLES
from tests.differential.rows import Rows, multiset, of_values

MACROS: Final = """
CREATE MACRO tumble(ts, size_s) AS time_bucket(to_seconds(size_s), ts, TIMESTAMP '1970-01-01');
CREATE MACRO hops(ts, slide_s, size_s) AS generate_series(
    tumble(ts, slide_s) - to_seconds(size_s - slide_s), tumble(ts, slide_s), to_seconds(slide_s));
"""
"""The start of the window of a time, and the starts of all sliding windows that it is in."""


class Oracle:
    """A DuckDB with all tables. Cases see it as it was: what one creates is rolled back."""

    def __init__(self, data: Path) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(MACROS)
        for table in TABLES.values():
            self._connection.execute(table.duckdb_view(data))

    def rows(self, case: Case) -> Rows:
        """What the case should give."""
        if case.reference is not None:
            return of_values(case.reference({name: self._dicts(name) for name in case.tables}))
        self._connection.execute("BEGIN")
        try:
            if case.duckdb_setup:
                self._connection.execute(case.duckdb_setup).fetchall()
            return multiset(self._connection.sql(case.duckdb).to_arrow_table())
        finally:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _dicts(self, table: str) -> list[dict[str, Any]]:
        """In the order of the files."""
        rows: list[dict[str, Any]] = self._connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
        return rows
