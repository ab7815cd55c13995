"""From ``CREATE TABLE`` to a table: the checks that need no other table, and what LIKE takes from one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from millstream.core.config.configuration import nearest
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.parser.errors import SqlValidationError
from millstream.sql.parser.statements import (
    ColumnDefinition,
    ComputedColumn,
    CreateTable,
    LikeClause,
    MetadataColumn,
    PhysicalColumn,
)

_INCLUDING, _EXCLUDING, _OVERWRITING = "INCLUDING", "EXCLUDING", "OVERWRITING"
_DEFAULT_RULES: Final = {
    "CONSTRAINTS": _INCLUDING, "DISTRIBUTION": _INCLUDING, "PARTITIONS": _INCLUDING, "GENERATED": _INCLUDING,
    "METADATA": _INCLUDING, "OPTIONS": _OVERWRITING, "WATERMARKS": _INCLUDING,
}  # fmt: skip
_OVERWRITABLE: Final = ("OPTIONS", "WATERMARKS", "GENERATED", "METADATA")


def table_of(statement: CreateTable, *, defined_at: str = "", like: CatalogTable | None = None) -> CatalogTable:
    """The table that the statement defines. ``like`` is the table of its LIKE clause.

    Raises ``SqlValidationError`` for keys, partitions and watermarks that name no column, and for LIKE rules that
    cannot hold.
    """
    own = CatalogTable(
        columns=statement.columns,
        options=dict(statement.options),
        watermark=statement.watermark,
        primary_key=statement.primary_key,
        partition_keys=statement.partition_keys,
        distribution=statement.distribution,
        comment=statement.comment,
        defined_at=defined_at,
        source=statement.source,
    )
    if like is not None and statement.like is not None:
        own = _merged(statement, statement.like, own, like)
    return checked(own, statement.source, statement.position.offset)


def checked(table: CatalogTable, source: str, offset: int) -> CatalogTable:
    """The table with its key columns NOT NULL. Raises ``SqlValidationError`` at ``offset`` of ``source``."""
    names = table.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SqlValidationError.at(source, offset, f"the column {twice} is defined twice")
    parts = (("primary key", table.primary_key), ("partition keys", table.partition_keys))
    watermark = () if table.watermark is None else (table.watermark.column.split(".")[0],)
    for what, columns in (*parts, ("watermark", watermark)):
        for name in columns:
            _require(table, what, name, source, offset)
    for name in table.primary_key:
        if not isinstance(table.column(name), PhysicalColumn):
            raise SqlValidationError.at(source, offset, f"the primary key names {name}, which is no physical column")
    columns_with_key = tuple(
        replace(column, type=column.type.with_nullable(False))
        if isinstance(column, PhysicalColumn) and column.name in table.primary_key
        else column
        for column in table.columns
    )
    return replace(table, columns=columns_with_key)


def _require(table: CatalogTable, what: str, name: str, source: str, offset: int) -> None:
    if name in table.names:
        return
    near = nearest(name, list(table.names))
    hint = f"Did you mean {near}?" if near else f"The columns are {', '.join(table.names)}."
    raise SqlValidationError.at(source, offset, f"unknown column {name} in the {what} of the table", hint)


def _rules(statement: CreateTable, like: LikeClause) -> dict[str, str]:
    """What happens to each feature; ALL gives the others unless they are named."""
    rules = dict(_DEFAULT_RULES)
    named = {feature: strategy for strategy, feature in like.rules}
    if "ALL" in named:
        rules = {
            feature: named["ALL"] if named["ALL"] != _OVERWRITING or feature in _OVERWRITABLE else _INCLUDING
            for feature in rules
        }
    for feature, strategy in named.items():
        if strategy == _OVERWRITING and feature not in (*_OVERWRITABLE, "ALL"):
            raise SqlValidationError.at(
                statement.source, statement.position.offset, f"OVERWRITING {feature} does not exist",
                f"OVERWRITING is for {', '.join(_OVERWRITABLE)}.",
            )  # fmt: skip
        if feature != "ALL":
            rules[feature] = strategy
    return rules


def _merged(statement: CreateTable, clause: LikeClause, own: CatalogTable, like: CatalogTable) -> CatalogTable:
    rules = _rules(statement, clause)

    def conflict(what: str, feature: str) -> SqlValidationError:
        hint = f"EXCLUDING {feature} leaves that of the other table out."
        if not feature:
            hint = "Physical columns of the other table are always taken over."
        if feature in _OVERWRITABLE:
            hint = f"OVERWRITING {feature} takes that of this table; " + hint
        return SqlValidationError.at(statement.source, statement.position.offset, f"both tables have {what}", hint)

    watermark = own.watermark
    if like.watermark is not None and rules["WATERMARKS"] != _EXCLUDING:
        if watermark is not None and rules["WATERMARKS"] != _OVERWRITING:
            raise conflict("a watermark", "WATERMARKS")
        watermark = watermark or like.watermark
    key = own.primary_key
    if like.primary_key and rules["CONSTRAINTS"] == _INCLUDING:
        if key:
            raise conflict("a primary key", "CONSTRAINTS")
        key = like.primary_key
    partitions = own.partition_keys
    if like.partition_keys and rules["PARTITIONS"] == _INCLUDING:
        if partitions:
            raise conflict("partition keys", "PARTITIONS")
        partitions = like.partition_keys
    options = dict(own.options)
    if rules["OPTIONS"] != _EXCLUDING:
        both = sorted(set(like.options) & set(options))
        if both and rules["OPTIONS"] == _INCLUDING:
            raise conflict(f"the option '{both[0]}'", "OPTIONS")
        options = {**like.options, **options}
    return replace(
        own,
        columns=_merged_columns(own, like, rules, conflict),
        options=options,
        watermark=watermark,
        primary_key=key,
        partition_keys=partitions,
        distribution=own.distribution or (like.distribution if rules["DISTRIBUTION"] == _INCLUDING else None),
        comment=own.comment or like.comment,
    )


def _merged_columns(
    own: CatalogTable,
    like: CatalogTable,
    rules: Mapping[str, str],
    conflict: Callable[[str, str], SqlValidationError],
) -> tuple[ColumnDefinition, ...]:
    """The other table's columns first, then the new ones; a computed or metadata column may take an old one's place."""
    overriding = {column.name: column for column in own.columns}
    merged: list[ColumnDefinition] = []
    for column in like.columns:
        feature = _feature(column)
        if feature and rules[feature] == _EXCLUDING:
            continue
        if column.name not in overriding:
            merged.append(column)
        elif not feature or rules[feature] != _OVERWRITING:
            raise conflict(f"a column {column.name}", feature)
    return (*merged, *own.columns)


def _feature(column: ColumnDefinition) -> str:
    if isinstance(column, ComputedColumn):
        return "GENERATED"
    return "METADATA" if isinstance(column, MetadataColumn) else ""
