"""Operators find their state by what they compute: the same query does, another does not."""

from __future__ import annotations

from collections.abc import Callable

from millstream.core.table import logical_types as t
from millstream.core.table.python_functions import PythonTableFunction
from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.plan.nodes import Aggregate, Correlate, Node
from millstream.sql.planner.explain import identity_text
from millstream.sql.planner.kept_states import kept_states
from millstream.sql.planner.planner import PlannedJob
from millstream.sql.planner.uids import operators_of

Plan = Callable[..., PlannedJob]


def uids(planned: PlannedJob, kind: str) -> list[str]:
    return [operator.uid or "" for operator in operators_of(planned.ends) if operator.name == kind]


def test_aggregates_of_other_columns_are_other_operators(plan: Plan) -> None:
    sums = [f"SELECT auction, {call} FROM bid GROUP BY auction" for call in (
        "SUM(price)", "SUM(bidder)", "SUM(DISTINCT price)", "SUM(price) FILTER (WHERE price > 1)",
        "LISTAGG(channel)", "LISTAGG(channel, ';')",
    )]  # fmt: skip
    found = [uids(plan(sql), "GroupAggregate")[0] for sql in sums]
    assert len(set(found)) == len(sums)
    assert uids(plan(sums[0]), "GroupAggregate") == [found[0]]


def test_a_change_elsewhere_keeps_the_state(plan: Plan) -> None:
    before = plan("SELECT auction, SUM(price) FROM bid GROUP BY auction")
    after = plan("SELECT auction, SUM(price) * 2 AS twice FROM bid GROUP BY auction HAVING SUM(price) > 3")
    assert uids(before, "GroupAggregate") == uids(after, "GroupAggregate")


def test_functions_count_by_name_not_by_where_they_are_in_memory(plan: Plan, catalogs: CatalogManager) -> None:
    def text() -> str:
        function = PythonTableFunction("words", lambda text: text.split(), None, t.row(("w", t.STRING)))
        scan: Node = plan("SELECT k, v FROM small").optimized[0]
        return identity_text(Correlate(scan.row, scan, function, (), False))

    assert text() == text()


def test_rows_with_other_columns_are_another_state(plan: Plan) -> None:
    queries = {
        "Join": "SELECT {}, a.seller FROM bid b JOIN auction a ON b.auction = a.id",
        "Deduplicate": "SELECT {} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY ts) AS nth "
        "FROM bid) b WHERE nth = 1",
    }
    for name, query in queries.items():
        found = [
            next(one for one in operators_of(plan(query.format(column)).ends) if one.name == name)
            for column in ("b.price", "b.bidder", "b.price")
        ]
        assert found[0].uid == found[2].uid != found[1].uid, name
        states = [kept_states(operator.spec) for operator in found]
        assert states[0] == states[2] and "price BIGINT" in states[0][0].type


def test_states_tell_types_in_the_words_of_sql(plan: Plan) -> None:
    planned = plan("SELECT auction, SUM(price), COUNT(DISTINCT channel) FROM bid GROUP BY auction")
    (aggregate,) = [one for one in operators_of(planned.ends) if one.name == "GroupAggregate"]
    (groups,) = kept_states(aggregate.spec)
    assert groups.type == "SUM(price) BIGINT, COUNT(DISTINCT channel) BIGINT by (auction BIGINT)"
    assert isinstance(planned.optimized[0], Aggregate)
