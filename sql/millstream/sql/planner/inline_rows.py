"""Rows that stand in the query, as a source."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from millstream.connectors.arrow_values import ArrowValuesSource
from millstream.sql.plan.nodes import Values


def inline_source(node: Values) -> ArrowValuesSource:
    """A bounded source of the rows of ``node``."""
    schema = node.row.arrow_schema()
    columns: list[Any] = [pa.array([row[i] for row in node.rows], field.type) for i, field in enumerate(schema)]
    return ArrowValuesSource(pa.RecordBatch.from_arrays(columns, schema=schema))
