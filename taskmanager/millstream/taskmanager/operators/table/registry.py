"""From the specification of a table operator to the module that has it: imported only by jobs that use it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from millstream.core.graph.specs import ChainedOperator
from millstream.core.table import specs
from millstream.taskmanager.operators.operator import Operator

_PACKAGE: Final = "millstream.taskmanager.operators.table"

_MODULES: Final[dict[type, tuple[str, str]]] = {
    specs.ChangelogNormalizeSpec: ("deduplicate", "ChangelogNormalizeOperator"),
    specs.CorrelateSpec: ("correlate", "CorrelateOperator"),
    specs.DeduplicateSpec: ("deduplicate", "DeduplicateOperator"),
    specs.GeneralOverSpec: ("general_over", "GeneralOverOperator"),
    specs.LocalRankSpec: ("local_rank", "LocalRankOperator"),
    specs.OverSpec: ("over", "OverOperator"),
    specs.RankSpec: ("rank", "RankOperator"),
    specs.RowsToTableSpec: ("rows_to_table", "RowsToTableOperator"),
    specs.SortLimitSpec: ("sort_limit", "SortLimitOperator"),
    specs.TableToRowsSpec: ("table_to_rows", "TableToRowsOperator"),
    specs.TemporalSortSpec: ("temporal_sort", "TemporalSortOperator"),
    specs.UpsertMaterializeSpec: ("upsert_materialize", "UpsertMaterializeOperator"),
    specs.WindowRankSpec: ("window_rank", "WindowRankOperator"),
    specs.CalcSpec: ("calc", "CalcOperator"),
    specs.DropUpdateBeforeSpec: ("drop_update_before", "DropUpdateBeforeOperator"),
    specs.ExpandSpec: ("expand", "ExpandOperator"),
    specs.GroupAggregateSpec: ("group_aggregate", "GroupAggregateOperator"),
    specs.IntervalJoinSpec: ("joins.interval", "IntervalJoinOperator"),
    specs.LookupJoinSpec: ("joins.lookup", "LookupJoinOperator"),
    specs.JoinSpec: ("joins.regular", "JoinOperator"),
    specs.NotNullSpec: ("not_null", "NotNullOperator"),
    specs.ReplicateSpec: ("replicate", "ReplicateOperator"),
    specs.WatermarkAssignerSpec: ("watermark_assigner", "WatermarkAssignerOperator"),
    specs.TemporalJoinSpec: ("joins.temporal", "TemporalJoinOperator"),
    specs.WindowAggregateSpec: ("window_aggregate", "WindowAggregateOperator"),
    specs.WindowJoinSpec: ("joins.window", "WindowJoinOperator"),
    specs.WindowTableSpec: ("window_table", "WindowTableOperator"),
}
"""Module within this package, and the class in it."""


def operator_modules() -> list[str]:
    """All of them, to be imported ahead."""
    return sorted({f"{_PACKAGE}.{module}" for module, _ in _MODULES.values()} | {f"{_PACKAGE}.session_aggregate"})


def is_table_spec(spec: object) -> bool:
    """Whether ``create_table_operator`` knows it."""
    return type(spec) in _MODULES


def create_table_operator(chained: ChainedOperator) -> Operator:
    """A new operator, not opened."""
    spec = chained.spec
    module, name = _MODULES[type(spec)]
    if _finds_sessions(spec):
        module, name = "session_aggregate", "SessionAggregateOperator"
    if _keeps_one_row(spec):
        module, name = "top_one", "TopOneOperator"
    operator: Operator = getattr(import_module(f"{_PACKAGE}.{module}"), name)(chained, chained.spec)
    return operator


def _finds_sessions(spec: object) -> bool:
    return (
        isinstance(spec, specs.WindowAggregateSpec)
        and spec.attached_start is None
        and spec.window.kind is specs.WindowKind.SESSION
    )


def _keeps_one_row(spec: object) -> bool:
    return (
        isinstance(spec, specs.RankSpec)
        and spec.function == "ROW_NUMBER"
        and spec.first == 1
        and spec.last == 1
        and not spec.retracts
        and spec.input_key is None
    )
