"""The columns of a table or of an operator's output."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from millstream.core.table.logical_types import LogicalType

if TYPE_CHECKING:
    import pyarrow as pa


class TimeAttribute(enum.Enum):
    """Whether a column tells the time that watermarks or clocks speak of."""

    NONE = ""
    ROWTIME = "*ROWTIME*"
    PROCTIME = "*PROCTIME*"


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: LogicalType
    time: TimeAttribute = TimeAttribute.NONE

    def __str__(self) -> str:
        return f"{self.name} {self.type}" + (f" {self.time.value}" if self.time.value else "")

    def renamed(self, name: str) -> Column:
        return replace(self, name=name)

    def materialized(self) -> Column:
        """The column as plain data."""
        return replace(self, time=TimeAttribute.NONE)


@dataclass(frozen=True)
class RowType:
    """Columns in order. Names are unique where batches flow, for Arrow schemas are made of them."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def types(self) -> tuple[LogicalType, ...]:
        return tuple(column.type for column in self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, index: int) -> Column:
        return self.columns[index]

    def index_of(self, name: str) -> int | None:
        """The position of the first column of that name; None when there is none."""
        for index, column in enumerate(self.columns):
            if column.name == name:
                return index
        return None

    def select(self, indexes: tuple[int, ...] | list[int]) -> RowType:
        return RowType(tuple(self.columns[index] for index in indexes))

    def arrow_schema(self) -> pa.Schema:
        """Batches of these columns have this schema. All fields are nullable: NOT NULL concerns the planner."""
        import pyarrow as pa

        return pa.schema([pa.field(column.name, column.type.arrow()) for column in self.columns])
