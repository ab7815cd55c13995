"""``'connector' = 'datagen'``: made-up rows of any table, with Flink's options."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.connectors.datagen import DataGenTableSource
from millstream.connectors.datagen_rules import UNSCALED_MAX, FieldRule
from millstream.core.config.configuration import nearest
from millstream.core.config.values import Boolean, Choice, DurationKind, Integer
from millstream.core.errors import ConfigError
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.connectors import Pushdown, TableConnector, TableDescription, TableSource, projected_schema
from millstream.core.table.table_options import TableOption, TableOptions

_LARGE: Final = 2**62
_DEFAULT_TEXT_LENGTH: Final = 100
_DEFAULT_ARRAY_LENGTH: Final = 3


class Fraction:
    """A number from 0 to 1."""

    name = "fraction"

    def parse(self, raw: object) -> float:
        try:
            value = float(str(raw))
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ValueError("expected a number from 0 to 1")
        return value

    def text(self, value: float) -> str:
        return str(value)

    def flat(self, value: float) -> float:
        return value


class DataGenConnector(TableConnector):
    """Unbounded, unless ``number-of-rows`` or a field with a sequence ends it. The same ``seed`` gives the same rows
    at any parallelism; times too if it is named."""

    identifier = "datagen"
    optional_options = {
        "rows-per-second": TableOption("Rows a second, over all subtasks.", Integer(1, _LARGE), 10_000),
        "number-of-rows": TableOption("How many rows; not set: no end.", Integer(0, _LARGE)),
        "scan.parallelism": TableOption("Parallelism of the source.", Integer(1)),
        "seed": TableOption("Other seeds, other rows.", Integer(-(2**63), 2**63 - 1), 0),
        "fields.#.kind": TableOption("How the field is made.", Choice(("random", "sequence")), "random"),
        "fields.#.min": TableOption("Least random number; default: the least of the type."),
        "fields.#.max": TableOption("Greatest random number; default: the greatest of the type."),
        "fields.#.max-past": TableOption("Oldest random timestamp, before now.", DurationKind(), timedelta(0)),
        "fields.#.length": TableOption("Of texts and bytes (100), of arrays and maps (3).", Integer(0, 2**24)),
        "fields.#.var-len": TableOption("Random lengths up to `length`.", Boolean(), False),
        "fields.#.start": TableOption("First number of a sequence.", Integer(-(2**62), _LARGE)),
        "fields.#.end": TableOption("Last number of a sequence.", Integer(-(2**62), _LARGE)),
        "fields.#.null-rate": TableOption("Share of nulls, 0 to 1.", Fraction(), 0.0),
    }

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        rules = _Rules(options)
        made = tuple((column.name, rules.rule(column.name, column.type)) for column in description.schema)
        rules.check_names()
        rows = [count for count in (options.get("number-of-rows"), rules.sequence_rows) if count is not None]
        limit = pushdown.limit_without()
        if rows and limit is not None:
            rows.append(limit)
        schema = projected_schema(description.schema, pushdown.projection, description.place)
        source = DataGenTableSource(
            made,
            schema,
            min(rows) if rows else None,
            options.get("rows-per-second"),
            options.get("seed"),
            options.is_set("seed"),
        )
        return TableSource(source, schema, bounded=bool(rows), parallelism=options.get("scan.parallelism"))


class _Rules:
    """Makes the rules of a table's fields out of its options."""

    def __init__(self, options: TableOptions) -> None:
        self._options = options
        self._paths: list[str] = []
        self.sequence_rows: int | None = None
        """Of the shortest sequence."""

    def rule(self, path: str, kind: pa.DataType) -> FieldRule:
        self._paths.append(path)
        get = self._options.get
        nulls = get(f"fields.{path}.null-rate")
        if get(f"fields.{path}.kind") == "sequence":
            return FieldRule(kind, start=self._sequence_start(path, kind), null_rate=nulls)
        if pa.types.is_struct(kind):
            children = tuple(self.rule(f"{path}.{field.name}", field.type) for field in kind)
            return FieldRule(kind, children=children, null_rate=nulls)
        length = get(f"fields.{path}.length")
        if pa.types.is_list(kind) or pa.types.is_map(kind):
            return FieldRule(
                kind,
                length=_DEFAULT_ARRAY_LENGTH if length is None else length,
                children=self._inner(path, kind),
                null_rate=nulls,
            )
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return FieldRule(
                kind,
                length=_DEFAULT_TEXT_LENGTH if length is None else length,
                var_len=get(f"fields.{path}.var-len"),
                null_rate=nulls,
            )
        if pa.types.is_timestamp(kind):
            past_ms = round(get(f"fields.{path}.max-past") / timedelta(milliseconds=1))
            return FieldRule(kind, max_past_ms=past_ms, null_rate=nulls)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            low, high = self._bounds(path, kind)
            return FieldRule(kind, minimum=low, maximum=high, null_rate=nulls)
        if pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
            return FieldRule(kind, null_rate=nulls)
        raise ConfigError(
            f"{self._options.place}: column {path!r} has type {logical_type(kind)}, which datagen cannot make."
        )

    def _inner(self, path: str, kind: pa.DataType) -> tuple[FieldRule, ...]:
        """The element of an ARRAY; key and value of a MAP, keys without nulls."""
        if pa.types.is_list(kind):
            return (self.rule(f"{path}.element", kind.value_type),)
        key, value = self.rule(f"{path}.key", kind.key_type), self.rule(f"{path}.value", kind.item_type)
        if key.children:
            raise ConfigError(f"{self._options.place}: datagen makes no keys of type {logical_type(kind.key_type)}.")
        return replace(key, null_rate=0.0), value

    def check_names(self) -> None:
        """Raises ``ConfigError`` for an option of a field that the table does not have."""
        for name, _ in self._options.given("fields."):
            path = name.removeprefix("fields.").rpartition(".")[0]
            if path not in self._paths:
                near = nearest(path, self._paths)
                hint = f" Did you mean {near!r}?" if near else ""
                raise ConfigError(f"{self._options.place}: option {name!r} is of no field.{hint}")

    def _sequence_start(self, path: str, kind: pa.DataType) -> int:
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if not numeric and not pa.types.is_string(kind):
            raise self._options.refuse(
                f"fields.{path}.kind", f"type {logical_type(kind)} has no sequence, only numbers and STRING."
            )
        start, end = self._options.get(f"fields.{path}.start"), self._options.get(f"fields.{path}.end")
        for name, value in (("start", start), ("end", end)):
            if value is None:
                raise ConfigError(f"{self._options.place}: a sequence needs the option 'fields.{path}.{name}'.")
        low, high = (-(2**62), 2**62) if pa.types.is_string(kind) else _limits(kind)
        scale = 10**kind.scale if pa.types.is_decimal(kind) else 1
        for name, value in (("start", start), ("end", end)):
            if not low <= value * scale <= high:
                raise self._options.refuse(f"fields.{path}.{name}", f"it does not fit into {logical_type(kind)}.")
        if end < start:
            raise self._options.refuse(f"fields.{path}.end", f"it must not be less than the start, {start}.")
        rows = end - start + 1
        self.sequence_rows = rows if self.sequence_rows is None else min(rows, self.sequence_rows)
        return int(start)

    def _bounds(self, path: str, kind: pa.DataType) -> tuple[Any, Any]:
        low, high = _limits(kind)
        found = []
        for name, default in (("min", low), ("max", high)):
            raw = self._options.get(f"fields.{path}.{name}")
            value = default if raw is None else _number(raw, kind)
            if value is None or not low <= value <= high:
                raise self._options.refuse(
                    f"fields.{path}.{name}", f"expected a number that fits into {logical_type(kind)}."
                )
            found.append(value)
        if found[1] < found[0]:
            raise self._options.refuse(f"fields.{path}.max", "it must not be less than the min.")
        return found[0], found[1]


def _limits(kind: pa.DataType) -> tuple[Any, Any]:
    """The least and the greatest value; of decimals unscaled."""
    if pa.types.is_decimal(kind):
        most = min(10**kind.precision - 1, UNSCALED_MAX)
        return -most, most
    if pa.types.is_floating(kind):
        info = np.finfo(kind.to_pandas_dtype())
        return float(info.min), float(info.max)
    bounds = np.iinfo(kind.to_pandas_dtype())
    return int(bounds.min), int(bounds.max)


def _number(raw: str, kind: pa.DataType) -> Any:
    """None for text that is no number of that type; decimals unscaled."""
    try:
        if pa.types.is_decimal(kind):
            return int(Decimal(raw).scaleb(kind.scale))
        return float(raw) if pa.types.is_floating(kind) else int(raw)
    except (ValueError, InvalidOperation, OverflowError):
        return None
