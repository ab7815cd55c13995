"""CAST between ARRAYs, MAPs and ROWs: of their elements, keys and fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType, TypeRoot

CastColumn = Callable[[Any, LogicalType, LogicalType], Any]


def cast_nested(values: pa.Array, source: LogicalType, target: LogicalType, cast: CastColumn) -> pa.Array:
    """``cast`` applied to the flat columns below ``values``; shapes and NULLs stay."""
    if target.root is TypeRoot.ROW:
        children = [
            cast(values.field(index) if values.offset == 0 else pc.struct_field(values, index), one, other)
            for index, ((_, one), (_, other)) in enumerate(zip(source.fields, target.fields, strict=True))
        ]
        mask = pc.is_null(values) if values.null_count else None
        arrow = target.arrow()
        return pa.StructArray.from_arrays(children, fields=list(arrow), mask=mask)
    values = values if values.offset == 0 else pa.concat_arrays([values])
    assert source.element is not None and target.element is not None
    mask = pc.is_null(values) if values.null_count else None
    if target.root is TypeRoot.ARRAY:
        return pa.ListArray.from_arrays(values.offsets, cast(values.values, source.element, target.element), mask=mask)
    key, element = _entries(source)
    wanted_key, wanted_element = _entries(target)
    keys, items = cast(values.keys, key, wanted_key), cast(values.items, element, wanted_element)
    return pa.MapArray.from_arrays(values.offsets, keys, items, mask=mask)


def _entries(kind: LogicalType) -> tuple[LogicalType, LogicalType]:
    assert kind.element is not None
    if kind.root is TypeRoot.MULTISET:
        return kind.element, lt.INT
    assert kind.key is not None
    return kind.key, kind.element
