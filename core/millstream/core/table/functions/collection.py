"""Functions of arrays and maps, value by value; elements compare as SQL compares, NULL being like NULL here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import (
    ARRAY,
    CONDITION,
    MAP,
    TEXT,
    WHOLE,
    Result,
    mismatched,
    refused,
)
from millstream.core.table.functions.coercion import common_type
from millstream.core.table.functions.columns import per_row
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Signature, TypeMismatch, Value
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot


def _key(value: Any) -> Any:
    """A value as something hashable: rows come as dicts, arrays as lists."""
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in value.items())
    return tuple(_key(item) for item in value) if isinstance(value, list) else value


def _distinct(values: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for value in values:
        first.setdefault(_key(value), value)
    return list(first.values())


def _with_element(
    name: str,
    compute: Callable[..., Any],
    result: LogicalType | None,
    summary: str,
    *examples: tuple[str, str],
    strict: bool = False,
) -> ScalarFunction:
    """A function of an array and a value of its element type; ``result`` None: an array of their common type."""

    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if len(types) != 2:
            raise TypeMismatch(f"{name} takes 2 arguments, not {len(types)}")
        if types[0].root is not _R.ARRAY or types[0].element is None:
            raise refused(name, 0, "an ARRAY", types[0])
        element = common_type([types[0].element, types[1]])
        if element is None:
            raise mismatched(name, types)
        array = lt.array(element).with_nullable(types[0].nullable)
        given = array if result is None else result
        nullable = types[0].nullable or (strict and types[1].nullable)
        return Signature((array, element), given.with_nullable(nullable))

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        def one(values: list[Any] | None, value: Any) -> Any:
            return None if values is None or (strict and value is None) else compute(values, value)

        return per_row(one, arguments, kind, context, strict=False, name=name)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _with_arrays(name: str, compute: Callable[..., Any], summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    """A function of arrays that share their element type."""

    def bind(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
        if not types or (len(types) != 2 and name != "ARRAY_CONCAT"):
            raise TypeMismatch(f"{name} takes {'at least 1 array' if name == 'ARRAY_CONCAT' else '2 arrays'}")
        for place, kind in enumerate(types):
            if kind.root is not _R.ARRAY:
                raise refused(name, place, "an ARRAY", kind)
        common = common_type(types)
        if common is None:
            raise mismatched(name, types)
        return Signature(tuple(common for _ in types), common)

    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        return per_row(compute, arguments, kind, context, name=name)

    return ScalarFunction(name, bind, evaluate, summary=summary, examples=examples)


def _of_array(
    name: str, compute: Callable[..., Any], result: Result, summary: str, *examples: tuple[str, str]
) -> ScalarFunction:
    return row_function(name, [ARRAY], result, compute, summary, *examples)


def _element(kinds: Sequence[LogicalType]) -> LogicalType:
    assert kinds[0].element is not None
    return kinds[0].element


def _extreme(name: str, largest: bool, summary: str, *examples: tuple[str, str]) -> ScalarFunction:
    def compute(values: list[Any]) -> Any:
        known = [value for value in values if value is not None]
        return None if not known else max(known) if largest else min(known)

    return _of_array(name, compute, _element, summary, *examples)


def _position(values: list[Any], value: Any) -> int:
    wanted = _key(value)
    return next((place for place, item in enumerate(values, 1) if _key(item) == wanted and item is not None), 0)


def _slice(values: list[Any], start: int, end: int | None = None) -> list[Any]:
    """Both ends belong to it; negative positions count from the end, 0 is 1."""
    size = len(values)
    first = size + start if start < 0 else max(start, 1) - 1
    last = size if end is None else size + end + 1 if end < 0 else max(end, 1)
    return values[max(first, 0) : last] if first < size and last > 0 else []


def _sort(values: list[Any], ascending: bool = True, nulls_first: bool | None = None) -> list[Any]:
    known = sorted((value for value in values if value is not None), reverse=not ascending)
    missing = [None] * (len(values) - len(known))
    first = ascending if nulls_first is None else nulls_first
    return [*missing, *known] if first else [*known, *missing]


def _join(values: list[Any], separator: str, missing: str | None = None) -> str:
    return separator.join(
        str(missing if item is None else item) for item in values if item is not None or missing is not None
    )


def _except(left: list[Any], right: list[Any]) -> list[Any]:
    taken = {_key(value) for value in right}
    return _distinct([value for value in left if _key(value) not in taken])


def _intersect(left: list[Any], right: list[Any]) -> list[Any]:
    shared = {_key(value) for value in right}
    return _distinct([value for value in left if _key(value) in shared])


def _concat(*arrays: list[Any]) -> list[Any]:
    return [value for array in arrays for value in array]


def _entry_list(select: int) -> Callable[[list[tuple[Any, Any]]], list[Any]]:
    return lambda entries: [entry[select] for entry in entries]


def _keys(kinds: Sequence[LogicalType]) -> LogicalType:
    assert kinds[0].key is not None
    return lt.array(kinds[0].key)


def _values(kinds: Sequence[LogicalType]) -> LogicalType:
    assert kinds[0].element is not None
    return lt.array(kinds[0].element)


def _entries(kinds: Sequence[LogicalType]) -> LogicalType:
    assert kinds[0].key is not None and kinds[0].element is not None
    return lt.array(lt.row(("key", kinds[0].key), ("value", kinds[0].element)))


def _bind_map_union(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if not types or any(kind.root is not _R.MAP for kind in types):
        raise mismatched("MAP_UNION", types, "it takes MAPs")
    common = common_type(types)
    if common is None:
        raise mismatched("MAP_UNION", types)
    return Signature(tuple(common for _ in types), common)


def _map_union(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    def union(*maps: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        return list({key: value for entries in maps for key, value in entries}.items())

    return per_row(union, arguments, kind, context, name="MAP_UNION")


def _bind_from_arrays(types: Sequence[LogicalType], literals: Sequence[object]) -> Signature:
    if len(types) != 2 or any(kind.root is not _R.ARRAY for kind in types):
        raise mismatched("MAP_FROM_ARRAYS", types, "it takes an ARRAY of keys and one of values")
    key, value = types[0].element, types[1].element
    assert key is not None and value is not None
    return Signature(tuple(types), lt.map_of(key, value).with_nullable(any(kind.nullable for kind in types)))


def _map_from_arrays(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    def zipped(keys: list[Any], values: list[Any]) -> list[tuple[Any, Any]]:
        if len(keys) != len(values):
            raise ValueError(f"{len(keys)} keys for {len(values)} values")
        return list(dict(zip(keys, values, strict=True)).items())

    return per_row(zipped, arguments, kind, context, name="MAP_FROM_ARRAYS")


def _has(values: list[Any], value: Any) -> bool:
    wanted = _key(value)
    return any(_key(item) == wanted for item in values)


def _reverse(values: list[Any]) -> list[Any]:
    return values[::-1]


_A: Final = "ARRAY[3, 1, 2, 1]"

FUNCTIONS: Final = (
    _with_element(
        "ARRAY_APPEND",
        lambda a, v: [*a, v],
        None,
        "The array with one more at its end.",
        ("ARRAY_APPEND(ARRAY[1], 2)", "[1, 2]"),
    ),
    _with_element(
        "ARRAY_PREPEND",
        lambda a, v: [v, *a],
        None,
        "The array with one more at its start.",
        ("ARRAY_PREPEND(ARRAY[1], 2)", "[2, 1]"),
    ),
    _with_element(
        "ARRAY_CONTAINS",
        _has,
        lt.BOOLEAN,
        "Whether the value is in the array.",
        (f"ARRAY_CONTAINS({_A}, 2)", "TRUE"),
        ("ARRAY_CONTAINS(ARRAY[1, NULL], NULL)", "TRUE"),
    ),
    _with_element(
        "ARRAY_POSITION",
        _position,
        lt.INT,
        "Where the value is first, from 1; 0 for nowhere.",
        (f"ARRAY_POSITION({_A}, 1)", "2"),
        strict=True,
    ),
    _with_element(
        "ARRAY_REMOVE",
        lambda a, v: [item for item in a if _key(item) != _key(v)],
        None,
        "The array without a value.",
        (f"ARRAY_REMOVE({_A}, 1)", "[3, 2]"),
    ),
    _of_array(
        "ARRAY_DISTINCT",
        _distinct,
        lambda kinds: kinds[0],
        "The array with each value once.",
        (f"ARRAY_DISTINCT({_A})", "[3, 1, 2]"),
    ),
    _of_array(
        "ARRAY_REVERSE",
        _reverse,
        lambda kinds: kinds[0],
        "The array from its end.",
        (f"ARRAY_REVERSE({_A})", "[1, 2, 1, 3]"),
    ),
    _extreme("ARRAY_MAX", True, "The greatest element.", (f"ARRAY_MAX({_A})", "3")),
    _extreme("ARRAY_MIN", False, "The least element.", (f"ARRAY_MIN({_A})", "1")),
    row_function(
        "ARRAY_SORT",
        [ARRAY, CONDITION, CONDITION],
        lambda kinds: kinds[0],
        _sort,
        "In order; second, whether ascending; third, whether NULLs come first.",
        (f"ARRAY_SORT({_A})", "[1, 1, 2, 3]"),
        (f"ARRAY_SORT({_A}, FALSE)", "[3, 2, 1, 1]"),
        optional=2,
    ),
    row_function(
        "ARRAY_SLICE",
        [ARRAY, WHOLE, WHOLE],
        lambda kinds: kinds[0],
        _slice,
        "The elements from a position to another.",
        (f"ARRAY_SLICE({_A}, 2, 3)", "[1, 2]"),
        (f"ARRAY_SLICE({_A}, -2)", "[2, 1]"),
        optional=1,
    ),
    row_function(
        "ARRAY_JOIN",
        [ARRAY, TEXT, TEXT],
        lt.STRING,
        _join,
        "The texts of an array with a separator; third, what stands for NULL.",
        ("ARRAY_JOIN(ARRAY['a', NULL, 'b'], '-')", "a-b"),
        ("ARRAY_JOIN(ARRAY['a', NULL], '-', '?')", "a-?"),
        optional=1,
    ),
    _with_arrays(
        "ARRAY_CONCAT", _concat, "The arrays one after the other.", ("ARRAY_CONCAT(ARRAY[1], ARRAY[2, 3])", "[1, 2, 3]")
    ),
    _with_arrays(
        "ARRAY_UNION",
        lambda left, right: _distinct([*left, *right]),
        "What is in either, once.",
        (f"ARRAY_UNION({_A}, ARRAY[4])", "[3, 1, 2, 4]"),
    ),
    _with_arrays(
        "ARRAY_EXCEPT",
        _except,
        "What is in the first and not in the second, once.",
        (f"ARRAY_EXCEPT({_A}, ARRAY[1])", "[3, 2]"),
    ),
    _with_arrays(
        "ARRAY_INTERSECT", _intersect, "What is in both, once.", (f"ARRAY_INTERSECT({_A}, ARRAY[1, 3])", "[3, 1]")
    ),
    row_function("MAP_KEYS", [MAP], _keys, _entry_list(0), "The keys of a map.", ("MAP_KEYS(MAP['a', 1])", "[a]")),
    row_function(
        "MAP_VALUES", [MAP], _values, _entry_list(1), "The values of a map.", ("MAP_VALUES(MAP['a', 1])", "[1]")
    ),
    row_function(
        "MAP_ENTRIES",
        [MAP],
        _entries,
        lambda entries: [{"key": k, "value": v} for k, v in entries],
        "The entries of a map as rows.",
        ("MAP_ENTRIES(MAP['a', 1])", "[(a, 1)]"),
    ),
    ScalarFunction(
        "MAP_UNION",
        _bind_map_union,
        _map_union,
        summary="All entries; of equal keys the last.",
        examples=(("MAP_UNION(MAP['a', 1], MAP['a', 2, 'b', 3])", "{a=2, b=3}"),),
    ),
    ScalarFunction(
        "MAP_FROM_ARRAYS",
        _bind_from_arrays,
        _map_from_arrays,
        can_fail=lambda types, kind: True,
        summary="A map of an array of keys and one of values.",
        examples=(("MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, 2])", "{a=1, b=2}"),),
    ),
)
