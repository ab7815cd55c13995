"""What a statement gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from millstream.sql.session.runner import QueryResult, RunningJob


@dataclass(frozen=True)
class Done:
    """The statement changed something; ``message`` says what where that is not plain."""

    message: str = ""


@dataclass(frozen=True)
class Rows:
    """The answer of SHOW, DESCRIBE, EXPLAIN, SET. ``plain``: one text, better shown without a table around it."""

    table: pa.Table
    plain: bool = False


@dataclass(frozen=True)
class Streaming:
    """The rows of a query, as they come."""

    result: QueryResult


@dataclass(frozen=True)
class Submitted:
    """A job that writes into tables; ``waited``: it has ended."""

    job: RunningJob
    waited: bool = False


StatementResult = Done | Rows | Streaming | Submitted


def text_rows(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Rows:
    """A table of texts."""
    columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(header))]
    return Rows(pa.table(dict(zip(header, columns, strict=True))))


def one_text(header: str, text: str) -> Rows:
    """A single text of several lines."""
    return Rows(pa.table({header: pa.array([text], pa.string())}), plain=True)
