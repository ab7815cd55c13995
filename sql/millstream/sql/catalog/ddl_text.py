"""Objects of a catalog as the DDL that makes them: ``SHOW CREATE``, and what catalogs in files store."""

from __future__ import annotations

from collections.abc import Mapping

from millstream.sql.catalog.objects import CatalogDescriptor, CatalogTable, CatalogView
from millstream.sql.parser.statements import ColumnDefinition, ComputedColumn, MetadataColumn


def quoted_name(*parts: str) -> str:
    """A path with every part in backticks."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def quoted_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def create_table(path: tuple[str, ...], table: CatalogTable, *, temporary: bool = False) -> str:
    """``CREATE TABLE``; parsing it gives an equal table."""
    elements = [_column(column) for column in table.columns]
    if table.watermark is not None:
        name = quoted_name(*table.watermark.column.split("."))
        elements.append(f"WATERMARK FOR {name} AS {table.watermark.text}")
    if table.primary_key:
        elements.append(f"PRIMARY KEY ({_names(table.primary_key)}) NOT ENFORCED")
    text = f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {quoted_name(*path)} (\n"
    text += ",\n".join(f"  {element}" for element in elements) + "\n)"
    if table.comment:
        text += f"\nCOMMENT {quoted_text(table.comment)}"
    if table.distribution is not None:
        kept = table.distribution
        text += "\nDISTRIBUTED" + (f" BY {kept.kind}({_names(kept.columns)})" if kept.columns else "")
        text += f" INTO {kept.buckets} BUCKETS" if kept.buckets else ""
    if table.partition_keys:
        text += f"\nPARTITIONED BY ({_names(table.partition_keys)})"
    return text + _options(table.options)


def create_view(path: tuple[str, ...], view: CatalogView, *, temporary: bool = False) -> str:
    text = f"CREATE {'TEMPORARY ' if temporary else ''}VIEW {quoted_name(*path)}"
    text += f" ({_names(view.columns)})" if view.columns else ""
    text += f"\nCOMMENT {quoted_text(view.comment)}" if view.comment else ""
    return f"{text}\nAS {view.query}"


def create_catalog(name: str, descriptor: CatalogDescriptor) -> str:
    text = f"CREATE CATALOG {quoted_name(name)}"
    text += f"\nCOMMENT {quoted_text(descriptor.comment)}" if descriptor.comment else ""
    return text + _options(descriptor.options)


def _options(options: Mapping[str, str]) -> str:
    if not options:
        return ""
    lines = [f"  {quoted_text(key)} = {quoted_text(value)}" for key, value in options.items()]
    return "\nWITH (\n" + ",\n".join(lines) + "\n)"


def _column(column: ColumnDefinition) -> str:
    name = quoted_name(column.name)
    if isinstance(column, ComputedColumn):
        text = f"{name} AS {column.text}"
    else:
        text = f"{name} {column.type}"
    if isinstance(column, MetadataColumn):
        text += " METADATA" + (f" FROM {quoted_text(column.key)}" if column.key else "")
        text += " VIRTUAL" if column.virtual else ""
    return text + (f" COMMENT {quoted_text(column.comment)}" if column.comment else "")


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(quoted_name(name) for name in names)
