"""``Schema`` (``pyflink.table.Schema``): the columns of a table that is to be, its watermark and its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import RowType
from millstream.datastream.call_site import refuse
from millstream.sql.parser.statements import ColumnDefinition, ComputedColumn, MetadataColumn, PhysicalColumn, Watermark
from millstream.sql.parser.types import parse_type
from millstream.table import expression_parser
from millstream.table.expression import Expression
from millstream.table.schemas import ResolvedSchema


@dataclass(frozen=True)
class Schema:
    """Made by ``Schema.new_builder()``."""

    columns: tuple[ColumnDefinition, ...] = ()
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()

    @staticmethod
    def new_builder() -> Builder:
        return Builder()

    @staticmethod
    def of(row: RowType) -> Schema:
        """The plain columns of ``row``."""
        return Schema(tuple(PhysicalColumn(column.name, column.type) for column in row.columns))

    def __str__(self) -> str:
        lines = [_column_text(column) for column in self.columns]
        if self.watermark is not None:
            lines.append(f"WATERMARK FOR `{self.watermark.column}` AS {self.watermark.text}")
        if self.primary_key:
            lines.append(f"PRIMARY KEY ({', '.join(f'`{name}`' for name in self.primary_key)}) NOT ENFORCED")
        return "(\n" + ",\n".join(f"  {line}" for line in lines) + "\n)"


class Builder:
    """Collects columns in order until ``build``."""

    def __init__(self) -> None:
        self._columns: list[ColumnDefinition] = []
        self._watermark: Watermark | None = None
        self._primary_key: tuple[str, ...] = ()

    def column(self, column_name: str, data_type: LogicalType | str) -> Builder:
        """A physical column; the type as ``DataTypes`` or as SQL writes it."""
        return self._add(PhysicalColumn(column_name, type_argument(data_type, "column")))

    def column_by_expression(self, column_name: str, expr: Expression | str) -> Builder:
        """A column computed of others; as text, in SQL."""
        node, text = _expression(expr, "column_by_expression")
        return self._add(ComputedColumn(column_name, node, text))

    def column_by_metadata(
        self,
        column_name: str,
        data_type: LogicalType | str,
        metadata_key: str | None = None,
        is_virtual: bool = False,
    ) -> Builder:
        """A column that the connector knows of each row besides its fields."""
        kind = type_argument(data_type, "column_by_metadata")
        return self._add(MetadataColumn(column_name, kind, metadata_key or "", is_virtual))

    def from_fields(self, field_names: Sequence[str], field_data_types: Sequence[LogicalType | str]) -> Builder:
        """Physical columns, from names and types."""
        if len(field_names) != len(field_data_types):
            raise refuse(f"from_fields: {len(field_names)} names, but {len(field_data_types)} types.")
        for name, kind in zip(field_names, field_data_types, strict=True):
            self.column(name, kind)
        return self

    def from_schema(self, schema: Schema) -> Builder:
        """All that ``schema`` has."""
        for column in schema.columns:
            self._add(column)
        self._watermark = schema.watermark or self._watermark
        self._primary_key = schema.primary_key or self._primary_key
        return self

    def from_resolved_schema(self, resolved_schema: ResolvedSchema) -> Builder:
        """The plain columns of a table there is."""
        for column in resolved_schema.columns:
            self.column(column.name, column.type)
        return self

    def watermark(self, column_name: str, watermark_expr: Expression | str) -> Builder:
        """``column_name`` is event time; watermarks are ``watermark_expr``, such as ``"ts - INTERVAL '5' SECOND"``."""
        node, text = _expression(watermark_expr, "watermark")
        self._watermark = Watermark(column_name, node, text)
        return self

    def primary_key(self, *column_names: str) -> Builder:
        """The columns that identify a row. Not checked."""
        if not column_names:
            raise refuse("primary_key takes at least one name.")
        self._primary_key = column_names
        return self

    def build(self) -> Schema:
        return Schema(tuple(self._columns), self._watermark, self._primary_key)

    def _add(self, column: ColumnDefinition) -> Builder:
        if not isinstance(column.name, str) or not column.name:
            raise refuse(f"a column has a name, not {column.name!r}.")
        if any(known.name == column.name for known in self._columns):
            raise refuse(f"the column {column.name!r} is defined twice.")
        self._columns.append(column)
        return self


def type_argument(given: LogicalType | str, method: str) -> LogicalType:
    """A type, as ``DataTypes`` or as SQL writes it."""
    if isinstance(given, str):
        return parse_type(given)
    if not isinstance(given, LogicalType):
        raise refuse(f"{method} takes a type such as DataTypes.INT() or 'INT', not {given!r:.60}.")
    return given


def _expression(given: Expression | str, method: str) -> tuple[exp.Expr, str]:
    if isinstance(given, str):
        return expression_parser.parse(given), given
    if not isinstance(given, Expression):
        raise refuse(f"{method} takes an expression, or its text in SQL, not {given!r:.60}.")
    if given._attached:
        raise refuse(f"{method}: register the function first (create_temporary_function), then call it by its name.")
    return given._copy(), str(given)


def _column_text(column: ColumnDefinition) -> str:
    if isinstance(column, ComputedColumn):
        return f"`{column.name}` AS {column.text}"
    if isinstance(column, MetadataColumn):
        key = f" FROM '{column.key}'" if column.key else ""
        return f"`{column.name}` {column.type} METADATA{key}{' VIRTUAL' if column.virtual else ''}"
    return f"`{column.name}` {column.type}"
