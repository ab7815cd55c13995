"""Result types of aggregate functions."""

import pytest

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.aggregates import aggregate_type
from millstream.core.table.functions.function import TypeMismatch


@pytest.mark.parametrize(
    ("name", "kind", "result"),
    [
        ("COUNT", lt.STRING, "BIGINT NOT NULL"),
        ("SUM", lt.INT, "INT"),
        ("SUM", lt.BIGINT, "BIGINT"),
        ("SUM", lt.decimal(10, 2), "DECIMAL(38, 2)"),
        ("SUM", lt.FLOAT, "FLOAT"),
        ("AVG", lt.INT, "INT"),
        ("AVG", lt.decimal(10, 2), "DECIMAL(38, 6)"),
        ("AVG", lt.decimal(10, 8), "DECIMAL(38, 8)"),
        ("STDDEV_POP", lt.DOUBLE, "DOUBLE"),
        ("MIN", lt.STRING.with_nullable(False), "STRING"),
        ("COLLECT", lt.INT, "MULTISET<INT> NOT NULL"),
        ("ARRAY_AGG", lt.INT, "ARRAY<INT>"),
        ("LISTAGG", lt.char(2), "STRING"),
        ("PERCENTILE", lt.INT, "DOUBLE"),
        ("LAG", lt.DATE, "DATE"),
    ],
)
def test_types(name: str, kind: lt.LogicalType, result: str) -> None:
    assert str(aggregate_type(name, [kind])) == result


def test_functions_of_ranks_take_no_argument() -> None:
    assert str(aggregate_type("row_number", [])) == "BIGINT NOT NULL"
    assert str(aggregate_type("CUME_DIST", [])) == "DOUBLE NOT NULL"
    with pytest.raises(TypeMismatch, match="RANK takes 0 arguments, not 1"):
        aggregate_type("RANK", [lt.INT])


def test_errors_name_the_type_and_the_nearest_name() -> None:
    with pytest.raises(TypeMismatch, match="argument 1 of SUM must be a number, not STRING"):
        aggregate_type("SUM", [lt.STRING])
    with pytest.raises(TypeMismatch, match="Did you mean LISTAGG"):
        aggregate_type("LISTAG", [lt.STRING])
