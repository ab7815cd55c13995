"""ARRAY, MAP and ROW from values, and reading them: ITEM, FIELD, ELEMENT, CARDINALITY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import mismatched, refused
from millstream.core.table.functions.coercion import common_type, comparison_type
from millstream.core.table.functions.columns import column, nulls, per_row, rows_of
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot


def _bind_array(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    element = common_type(types) if types else lt.NULL
    if element is None:
        raise mismatched("ARRAY", types, "its elements need one type: CAST them")
    return Signature(tuple(element for _ in types), lt.array(element).with_nullable(False))


def interleaved(values: Sequence[Value], rows: int, kind: pa.DataType) -> pa.Array:
    """The first row of all values, then the second, ..."""
    width = len(values)
    flat = pa.concat_arrays([column(value, rows).cast(kind) for value in values])
    order = np.arange(rows * width).reshape(width, rows).T.ravel()
    return flat.take(pa.array(order))


def _steps(rows: int, width: int) -> pa.Array:
    return pa.array(np.arange(rows + 1, dtype=np.int32) * width)


def _array(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    if not arguments:
        return pa.array([[]], kind.arrow())[0]
    rows = rows_of(arguments, context)
    flat = interleaved(arguments, rows, kind.arrow().value_type)
    return pa.ListArray.from_arrays(_steps(rows, len(arguments)), flat).cast(kind.arrow())


def _bind_map(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) % 2:
        raise TypeMismatch("MAP takes keys and values in pairs: MAP['a', 1, 'b', 2]")
    if not types:
        raise TypeMismatch("MAP[] does not tell the types of its keys and values: MAP takes at least one pair")
    key, value = (common_type(types[side::2]) for side in (0, 1))
    if key is None or value is None:
        raise mismatched("MAP", types, "its keys need one type and its values another: CAST them")
    pairs = tuple(value if place % 2 else key for place in range(len(types)))
    return Signature(pairs, lt.map_of(key, value).with_nullable(False))


def _map(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """Of equal keys the last one counts."""
    rows = rows_of(arguments, context)
    keys = [value for value in arguments[::2] if isinstance(value, pa.Scalar)]
    if len(keys) < len(arguments) // 2 or len({key.as_py() for key in keys}) < len(keys):
        return per_row(_pairs, [column(value, rows) for value in arguments], kind, context, strict=False, name="MAP")
    arrow = kind.arrow()
    flat_keys = interleaved(arguments[::2], rows, arrow.key_type)
    flat_values = interleaved(arguments[1::2], rows, arrow.item_type)
    return pa.MapArray.from_arrays(_steps(rows, len(arguments) // 2), flat_keys, flat_values).cast(arrow)


def _pairs(*values: Any) -> list[tuple[Any, Any]]:
    return list(dict(zip(values[::2], values[1::2], strict=True)).items())


def _bind_row(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    fields = [(f"EXPR${place}", kind) for place, kind in enumerate(types)]
    return Signature(tuple(types), lt.row(*fields).with_nullable(False))


def _row(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    rows = rows_of(arguments, context)
    return pa.StructArray.from_arrays([column(value, rows) for value in arguments], fields=list(kind.arrow()))


def _bind_item(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2:
        raise TypeMismatch(f"ITEM takes 2 arguments, not {len(types)}")
    kind, place = types
    if kind.root is _R.ARRAY:
        assert kind.element is not None
        if place.root not in (*lt.INTEGERS, _R.NULL):
            raise refused("ITEM", 1, "a whole number, the position in the ARRAY", place)
        if isinstance(literals[1], int) and literals[1] < 1:
            raise TypeMismatch(f"positions in an ARRAY count from 1; {literals[1]} is none")
        return Signature((kind, lt.BIGINT), kind.element.with_nullable(True))
    if kind.root is _R.MAP:
        assert kind.key is not None and kind.element is not None
        key = comparison_type(kind.key, place)
        if key is None:
            raise refused("ITEM", 1, f"{kind.key.text()}, a key of the MAP", place)
        return Signature((kind, kind.key), kind.element.with_nullable(True))
    raise refused("ITEM", 0, "an ARRAY or a MAP", kind)


def _item(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    rows = rows_of(arguments, context)
    values, place = column(arguments[0], rows), arguments[1]
    if pa.types.is_map(values.type):
        if isinstance(place, pa.Scalar):
            return pc.map_lookup(values, place, "last") if place.is_valid else nulls(kind)
        return per_row(lambda entries, key: dict(entries).get(key), [values, place], kind, context, name="ITEM")
    starts, ends = bounds(values)
    index = pc.fill_null(column(place, rows), 0).to_numpy(zero_copy_only=False)
    inside = (index >= 1) & (starts + index <= ends)
    places = pa.array(np.where(inside, starts + index - 1, 0), mask=~inside)
    return values.values.take(places)


def bounds(values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the elements of each list or map begin and end in the flat column; those of NULL are none."""
    offsets = values.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    starts, ends = offsets[:-1], offsets[1:]
    if values.null_count:
        ends = np.where(pc.is_valid(values).to_numpy(zero_copy_only=False), ends, starts)
    return starts, ends


def _bind_field(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2 or types[0].root is not _R.ROW:
        raise refused("FIELD", 0, "a ROW", types[0] if types else lt.NULL)
    wanted = literals[1]
    if isinstance(wanted, str):
        found = types[0].field(wanted)
        known = ", ".join(name for name, _ in types[0].fields)
        if found is None:
            raise TypeMismatch(f"the row has no field {wanted!r}; it has {known}")
        kind = found[1]
    elif isinstance(wanted, int) and 0 <= wanted < len(types[0].fields):
        kind = types[0].fields[wanted][1]
    else:
        raise TypeMismatch(f"FIELD takes the position or name of a field, not {wanted!r}")
    return Signature(tuple(types), kind.with_nullable(kind.nullable or types[0].nullable))


def _field(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    place = arguments[1].as_py()
    row = column(arguments[0], context.rows)
    return pc.struct_field(row, row.type.get_field_index(place) if isinstance(place, str) else place)


def _bind_cardinality(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 1 or types[0].root not in (_R.ARRAY, _R.MAP, _R.MULTISET):
        raise refused("CARDINALITY", 0, "an ARRAY, a MAP or a MULTISET", types[0] if types else lt.NULL)
    return Signature(tuple(types), lt.INT.with_nullable(types[0].nullable))


def _cardinality(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    values = column(arguments[0], context.rows)
    starts, ends = bounds(values)
    mask = pc.is_null(values).to_numpy(zero_copy_only=False) if values.null_count else None
    return pa.array((ends - starts).astype(np.int32), mask=mask)


def _bind_element(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 1 or types[0].root is not _R.ARRAY or types[0].element is None:
        raise refused("ELEMENT", 0, "an ARRAY", types[0] if types else lt.NULL)
    return Signature(tuple(types), types[0].element.with_nullable(True))


def _element(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return per_row(_only, arguments, kind, context, name="ELEMENT")


def _only(values: list[Any]) -> Any:
    if len(values) > 1:
        raise ValueError(f"the array has {len(values)} elements; ELEMENT takes arrays of one")
    return values[0] if values else None


FUNCTIONS: Final = (
    ScalarFunction(
        "ARRAY", _bind_array, _array, summary="An array of the values.", examples=(("ARRAY[1, 2]", "[1, 2]"),)
    ),
    ScalarFunction(
        "MAP", _bind_map, _map, summary="A map of keys and values in turn.", examples=(("MAP['a', 1]", "{a=1}"),)
    ),
    ScalarFunction("ROW", _bind_row, _row, summary="A row of the values.", examples=(("ROW(1, 'a')", "(1, a)"),)),
    ScalarFunction(
        "ITEM",
        _bind_item,
        _item,
        summary="The element at a position (from 1) of an array, or the value of a key: a[1], m['k'].",
        examples=(
            ("ARRAY[4, 5][2]", "5"),
            ("ARRAY[4][2]", "NULL"),
            ("MAP['a', 1]['a']", "1"),
            ("MAP['a', 1]['b']", "NULL"),
        ),
    ),
    ScalarFunction(
        "FIELD", _bind_field, _field, summary="A field of a row: r.f.", examples=(("FIELD(ROW(1, 'a'), 1)", "a"),)
    ),
    ScalarFunction(
        "CARDINALITY",
        _bind_cardinality,
        _cardinality,
        summary="How many elements an array, or entries a map has.",
        examples=(("CARDINALITY(ARRAY[1, NULL])", "2"), ("CARDINALITY(MAP['a', 1])", "1")),
    ),
    ScalarFunction(
        "ELEMENT",
        _bind_element,
        _element,
        can_fail=lambda types, kind: True,
        summary="The only element of an array; fails where there are more.",
        examples=(("ELEMENT(ARRAY[7])", "7"),),
    ),
)
