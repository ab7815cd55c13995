"""What is wrong in a program is told at the user's line, with the nearest name and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millstream.core.errors import JobGraphError, MillstreamError
from millstream.table import DataTypes, TableEnvironment, Tumble, udf, udtf
from millstream.table.expressions import call, col, lit, row_interval

Wrong = Callable[[TableEnvironment], Any]


def bid(env: TableEnvironment) -> Any:
    return env.from_path("bid")


WRONG: list[tuple[Wrong, str]] = [
    (lambda e: bid(e).select(col("prize")), "there is no column 'prize'. Did you mean 'price'?"),
    (lambda e: e.from_path("bids"), "unknown table or view bids"),
    (lambda e: bid(e).select("price"), "write col('price') for the column"),
    (lambda e: bid(e).select(col("channel").uper_case), "no method 'uper_case'. Did you mean 'upper_case'?"),
    (lambda e: bid(e).select(call("uper", col("channel"))), "there is no function UPER"),
    (lambda e: bid(e).where(col("price")), "WHERE takes a BOOLEAN, not BIGINT"),
    (lambda e: bid(e).where(col("price").sum > 1), "the aggregate SUM cannot stand in WHERE"),
    (lambda e: bid(e).group_by(col("price")).select(col("bidder")), "must stand in GROUP BY"),
    (lambda e: bool(col("a") > 1), "Write & for and"),
    (lambda e: list(col("a")), "cannot be iterated over"),
    (lambda e: lit(object()), "is no constant of a query"),
    (lambda e: bid(e).join(bid(e), col("price") == 1), "both tables have the column 'auction'"),
    (lambda e: bid(e).join(TableEnvironment.create().from_elements([(1,)])), "belong to different environments"),
    (lambda e: bid(e).add_columns(lit(1).alias("price")), "the column 'price' exists"),
    (lambda e: bid(e).drop_columns(col("prise")), "there is no column 'prise'. Did you mean 'price'?"),
    (lambda e: bid(e).window(Tumble.over(row_interval(3)).on(col("ts")).alias("w")), "windows of a number of rows"),
    (
        lambda e: (
            bid(e).window(Tumble.over(lit(1).minutes).on(col("price")).alias("w")).group_by(col("w")).select(lit(1))
        ),
        "TUMBLE needs a time attribute",
    ),
    (
        lambda e: bid(e).window(Tumble.over(lit(1).minutes).on(col("ts")).alias("w")).group_by(col("price")),
        "group_by after window takes the window's alias",
    ),
    (lambda e: bid(e).order_by(col("price")).explain(), "ORDER BY in a stream"),
    (lambda e: bid(e).execute_insert("output"), "the query has 5 columns"),
    (lambda e: bid(e).select(col("price"), col("ts")).insert_into("out"), "unknown table or view out"),
    (lambda e: bid(e).fetch(-1), "fetch takes a number of rows, not -1"),
    (lambda e: udf(lambda x: x), "the result type of the function <lambda> is not known"),
    (lambda e: udf(lambda x: x, result_type="INTT"), "INTT"),
    (lambda e: bid(e).join_lateral(udf(lambda x: x, result_type="INT")(col("price"))), "there is no table function"),
    (lambda e: bid(e).select(udtf(lambda x: [x], result_types="INT")(col("price"))), "is not a scalar function"),
    (lambda e: e.from_elements([(1,), (1, 2)], ["a"]), "row 2 has 2 values for the 1 columns a"),
    (
        lambda e: e.from_elements([("x",)], DataTypes.ROW([DataTypes.FIELD("a", DataTypes.INT())])),
        "row 1, column 'a': 'x' is no INT",
    ),
    (lambda e: e.get_config().set("table.exec.state.tll", "1 h"), "table.exec.state.ttl"),
    (lambda e: e.execute_sql("SELEC 1"), "line 1, column 1"),
    (lambda e: e.sql_query("SELECT prize FROM bid"), "line 1, column 8"),
    (lambda e: e.create_statement_set().execute(), "nothing was added"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_the_error_says_what_to_do(env: TableEnvironment, wrong: Wrong, message: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        wrong(env)
    assert message in str(caught.value)


def test_the_error_names_the_line(env: TableEnvironment) -> None:
    with pytest.raises(JobGraphError, match=r"^tests/unit/table_api/test_errors.py:\d+: there is no column"):
        bid(env).select(col("nothing"))
