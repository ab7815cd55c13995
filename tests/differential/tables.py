"""Tables that the cases read: files below a directory, the DDL that names them, and the same rows in DuckDB.

Rows are the same in every run. Event times are out of order within the delay of the watermark, so no row is late,
except in tables that say so. A table of two files has the earlier half in the first, because a subtask that reads one
after the other must not go back in time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = tuple[Any, ...]

CSV_NULL = "NULL"
PORTIONS = 5
"""A paced run reads a file in so many, a checkpoint after each but the last."""


@dataclass(frozen=True)
class Column:
    """``duckdb``: its type there, if it is spelled otherwise."""

    name: str
    type: str
    duckdb: str = ""

    @property
    def duckdb_type(self) -> str:
        return self.duckdb or self.type


@dataclass(frozen=True)
class Table:
    """``more``: computed columns, watermark and primary key as DDL; ``computed``: those columns for DuckDB."""

    name: str
    columns: tuple[Column, ...]
    make: Callable[[], list[Row]]
    format: str = "json"
    more: str = ""
    computed: str = ""
    files: int = 2
    batch_rows: int = 64
    one_reader: bool = False
    """In all runs: which rows are late is then the same, for no other reader holds the watermark back."""

    def write(self, directory: Path) -> None:
        """The files of the table below ``directory``."""
        target = directory / self.name
        target.mkdir(parents=True)
        rows = self.make()
        size = -(-len(rows) // self.files)
        for number in range(self.files):
            part = rows[number * size : (number + 1) * size]
            _WRITERS[self.format](target / f"part-{number}.{self.format}", self.columns, part)

    def ddl(self, directory: Path, gate: Path) -> str:
        """CREATE TABLE over the files; reading waits at checkpoints while ``gate`` is not there."""
        columns = [f"`{column.name}` {column.type}" for column in self.columns]
        options = {
            "connector": "paced",
            "path": str(directory / self.name),
            "format": self.format,
            "gate": str(gate),
            "portion-rows": str(max(1, len(self.make()) // self.files // PORTIONS)),
            "batch-rows": str(self.batch_rows),
        }
        if self.one_reader:
            options["scan.parallelism"] = "1"
        if self.format == "csv":
            options["csv.null-literal"] = CSV_NULL
        given = ", ".join(f"'{name}' = '{value}'" for name, value in options.items())
        return f"CREATE TABLE {self.name} ({', '.join([*columns, *filter(None, [self.more])])}) WITH ({given});\n"

    def duckdb_view(self, directory: Path) -> str:
        """CREATE TABLE in DuckDB from the same files."""
        files = f"'{directory / self.name}/part-*'"
        types = ", ".join(f"'{column.name}': '{column.duckdb_type}'" for column in self.columns)
        if self.format == "json":
            read = f"read_json({files}, format = 'newline_delimited', columns = {{{types}}})"
        elif self.format == "csv":
            read = f"read_csv({files}, header = false, nullstr = '{CSV_NULL}', columns = {{{types}}})"
        else:
            read = f"read_parquet({files})"
        computed = f", {self.computed}" if self.computed else ""
        return f"CREATE TABLE {self.name} AS SELECT *{computed} FROM {read};\n"


def _text(value: Any) -> Any:
    """As JSON and CSV have it; times as SQL writes them."""
    match value:
        case datetime():
            return value.isoformat(" ", "milliseconds")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return float(value)
        case _:
            return value


def _write_json(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    with path.open("w") as file:
        for row in rows:
            named = {column.name: _text(value) for column, value in zip(columns, row, strict=True)}
            file.write(json.dumps(named) + "\n")


def _write_csv(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    with path.open("w") as file:
        for row in rows:
            file.write(",".join(CSV_NULL if value is None else str(_text(value)) for value in row) + "\n")


def _write_parquet(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    schema = pa.schema(
        [pa.field(column.name, _ARROW[column.type.partition("(")[0]](column.type)) for column in columns]
    )
    arrays = [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(schema)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, row_group_size=40)


def _decimal(text: str) -> pa.DataType:
    precision, scale = text.removeprefix("DECIMAL(").removesuffix(")").split(",")
    return pa.decimal128(int(precision), int(scale))


_ARROW: dict[str, Callable[[str], pa.DataType]] = {
    "BOOLEAN": lambda _: pa.bool_(),
    "TINYINT": lambda _: pa.int8(),
    "SMALLINT": lambda _: pa.int16(),
    "INT": lambda _: pa.int32(),
    "BIGINT": lambda _: pa.int64(),
    "FLOAT": lambda _: pa.float32(),
    "DOUBLE": lambda _: pa.float64(),
    "DECIMAL": _decimal,
    "STRING": lambda _: pa.string(),
    "BYTES": lambda _: pa.binary(),
    "DATE": lambda _: pa.date32(),
    "TIME": lambda _: pa.time32("ms"),
    "TIMESTAMP": lambda _: pa.timestamp("ms"),
}
_WRITERS = {"json": _write_json, "csv": _write_csv, "parquet": _write_parquet}
