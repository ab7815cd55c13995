"""``TableDescriptor`` and ``FormatDescriptor`` (``pyflink.table``): CREATE TABLE without SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millstream.datastream.call_site import call_site, refuse
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.catalog.table_definition import checked
from millstream.table.schema import Schema


@dataclass(frozen=True)
class FormatDescriptor:
    """A format with its options, which stand in the table behind the name of the format."""

    format: str
    options: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def for_format(format: str) -> FormatBuilder:
        return FormatBuilder(format)

    def get_format(self) -> str:
        return self.format

    def get_options(self) -> dict[str, str]:
        return dict(self.options)


class FormatBuilder:
    """Collects options until ``build``."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._options: dict[str, str] = {}

    def option(self, key: str, value: Any) -> FormatBuilder:
        """``key`` without the name of the format: ``"ignore-parse-errors"``."""
        self._options[key] = _text(value)
        return self

    def build(self) -> FormatDescriptor:
        return FormatDescriptor(self._format, dict(self._options))


@dataclass(frozen=True)
class TableDescriptor:
    """A table: connector, columns, options."""

    options: Mapping[str, str]
    schema: Schema | None = None
    partition_keys: tuple[str, ...] = ()
    comment: str = ""
    defined_at: str = field(default="", compare=False)

    @staticmethod
    def for_connector(connector: str) -> Builder:
        return Builder({"connector": connector})

    def get_options(self) -> dict[str, str]:
        return dict(self.options)

    def get_schema(self) -> Schema | None:
        return self.schema

    def get_partition_keys(self) -> list[str]:
        return list(self.partition_keys)

    def get_comment(self) -> str:
        return self.comment

    def catalog_table(self, default: Schema | None = None) -> CatalogTable:
        """The table for a catalog; ``default``: the columns where the descriptor has none."""
        schema = self.schema or default
        if schema is None or not schema.columns:
            raise refuse("the descriptor has no schema: give it .schema(Schema.new_builder().column(...).build()).")
        table = CatalogTable(
            columns=schema.columns,
            options=dict(self.options),
            watermark=schema.watermark,
            primary_key=schema.primary_key,
            partition_keys=self.partition_keys,
            comment=self.comment,
            defined_at=self.defined_at,
        )
        return checked(table, str(schema), 0)


class Builder:
    """Collects what the table is until ``build``."""

    def __init__(self, options: dict[str, str]) -> None:
        self._options = options
        self._schema: Schema | None = None
        self._partition_keys: tuple[str, ...] = ()
        self._comment = ""

    def schema(self, schema: Schema) -> Builder:
        if not isinstance(schema, Schema):
            raise refuse(f"schema takes a Schema, not {schema!r:.60}.")
        self._schema = schema
        return self

    def option(self, key: str, value: Any) -> Builder:
        """As in WITH of CREATE TABLE."""
        self._options[key] = _text(value)
        return self

    def format(self, format: str | FormatDescriptor) -> Builder:
        """How rows are written down, with its options."""
        found = FormatDescriptor(format) if isinstance(format, str) else format
        self._options["format"] = found.format
        self._options.update({f"{found.format}.{key}": value for key, value in found.options.items()})
        return self

    def partitioned_by(self, *partition_keys: str) -> Builder:
        self._partition_keys = partition_keys
        return self

    def comment(self, comment: str) -> Builder:
        self._comment = comment
        return self

    def build(self) -> TableDescriptor:
        return TableDescriptor(
            dict(self._options), self._schema, self._partition_keys, self._comment, defined_at=call_site()
        )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
