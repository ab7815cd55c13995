"""What the columns of a table are (``pyflink.table.catalog.ResolvedSchema``, ``pyflink.table.TableSchema``)."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import Column, RowType
from millstream.datastream.call_site import refuse


@dataclass(frozen=True)
class ResolvedSchema:
    """Names and types of columns."""

    columns: tuple[Column, ...]

    @staticmethod
    def of(row: RowType) -> ResolvedSchema:
        return ResolvedSchema(row.columns)

    def get_column_count(self) -> int:
        return len(self.columns)

    def get_columns(self) -> list[Column]:
        return list(self.columns)

    def get_column(self, column: int | str) -> Column | None:
        """By position or name; None when there is none."""
        if isinstance(column, int):
            return self.columns[column] if 0 <= column < len(self.columns) else None
        return next((found for found in self.columns if found.name == column), None)

    def get_column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def get_column_data_types(self) -> list[LogicalType]:
        return [column.type for column in self.columns]

    def __str__(self) -> str:
        lines = [f"  `{column.name}` {column.type}" + _time_text(column) for column in self.columns]
        return "(\n" + ",\n".join(lines) + "\n)"


def _time_text(column: Column) -> str:
    return f" {column.time.value}" if column.time.value else ""


class TableSchema:
    """The older name of the same."""

    def __init__(self, resolved: ResolvedSchema) -> None:
        self._resolved = resolved

    def get_field_names(self) -> list[str]:
        return self._resolved.get_column_names()

    def get_field_count(self) -> int:
        return self._resolved.get_column_count()

    def get_field_data_types(self) -> list[LogicalType]:
        return self._resolved.get_column_data_types()

    def get_field_data_type(self, field: int | str) -> LogicalType | None:
        """By position or name; None when there is none."""
        found = self._resolved.get_column(field)
        return None if found is None else found.type

    def get_field_name(self, field_index: int) -> str:
        """Raises ``JobGraphError`` when there is no such position."""
        found = self._resolved.get_column(field_index)
        if found is None:
            raise refuse(f"there is no column {field_index}; there are {self.get_field_count()}.")
        return found.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableSchema) and other._resolved == self._resolved

    def __hash__(self) -> int:
        return hash(self._resolved)

    def __str__(self) -> str:
        return str(self._resolved)
