"""Between tables and the streams of a DataStream program: operators of a plan become nodes of the program."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.api.types import TypeInformation
from millstream.core.graph.specs import SourceSpec
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamNode
from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import Column, RowType
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream import DataStream
from millstream.datastream.program import ParallelismLimit, Program
from millstream.sql.planner.physical import PhysicalEdge, PhysicalOperator
from millstream.sql.planner.uids import operators_of

_TYPES = {
    "STRING": lt.STRING, "BYTE": lt.TINYINT, "SHORT": lt.SMALLINT, "INT": lt.INT, "LONG": lt.BIGINT,
    "BIG_INT": lt.decimal(38, 0), "BIG_DEC": lt.decimal(38, 18), "FLOAT": lt.FLOAT, "DOUBLE": lt.DOUBLE,
    "BOOLEAN": lt.BOOLEAN, "CHAR": lt.STRING, "BYTES": lt.BYTES, "SQL_DATE": lt.DATE, "SQL_TIME": lt.TIME,
    "SQL_TIMESTAMP": lt.timestamp(6), "INSTANT": lt.timestamp_ltz(6), "DURATION": lt.INTERVAL_DAY_TIME,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ProgramStream:
    """What a ``StreamScan`` reads; one for each table made of a stream."""

    stream: DataStream[object]
    rowtime: int | None
    """The column that gets the event time of the records."""

    def __repr__(self) -> str:
        """Part of the text by which state finds its operator: the same each time the program runs."""
        return f"stream of {self.stream.get_name()}"


def add_to_program(program: Program, ends: list[PhysicalOperator]) -> tuple[list[StreamNode], list[int]]:
    """The nodes of ``ends``, and the ids of all that were added."""
    nodes: dict[PhysicalOperator, StreamNode] = {}
    for operator in operators_of(ends):
        edges = [_edge(edge, nodes[edge.source], operator) for edge in operator.edges]
        if operator.stream is not None:
            edges = operator.stream.stream._edges()
        inputs = 1 + max((edge.input_index for edge in edges), default=-1)
        by_input = {edge.input_index: edge.key_selector for edge in operator.edges}
        node = program.add(
            operator.name,
            operator.spec,
            edges,
            key_selectors=tuple(by_input.get(index) for index in range(inputs)),
            limit=_limit(operator),
        )
        node.uid = None if operator.uid is None else program.free_uid(operator.uid)
        if operator.parallelism is not None:
            node.parallelism = operator.parallelism
        nodes[operator] = node
    return [nodes[end] for end in ends], [node.node_id for node in nodes.values()]


def _edge(edge: PhysicalEdge, source: StreamNode, target: PhysicalOperator) -> StreamEdge:
    exchange = edge.exchange
    if exchange is Exchange.FORWARD and target.parallelism == 1:
        exchange = Exchange.GLOBAL
    return StreamEdge(
        source=source.node_id,
        target=0,
        exchange=exchange,
        input_index=edge.input_index,
        key_selector=edge.key_selector if exchange is Exchange.HASH else None,
        explicit=exchange is not Exchange.FORWARD,
    )


def _limit(operator: PhysicalOperator) -> ParallelismLimit | None:
    most = operator.spec.source.parallelism_max if isinstance(operator.spec, SourceSpec) else None
    return None if most is None else ParallelismLimit(most, "the source cannot be read by more subtasks")


def columns_of(found: TypeInformation | None) -> RowType:
    """The columns that records of a type have: f0, f1, ... where fields have no names.

    Raises ``JobGraphError`` for records whose type is not known.
    """
    if found is None or found.is_generic:
        raise refuse(
            "the type of the stream's records is not known. Give the operator an output_type "
            "(Types.ROW_NAMED(...)), or from_data_stream a Schema with the columns."
        )
    if not found.parameters or found.name in ("LIST", "MAP", "SET"):
        return RowType((Column("f0", _logical(found)),))
    names = found.names or tuple(f"f{index}" for index in range(len(found.parameters)))
    pairs = zip(names, found.parameters, strict=True)
    return RowType(tuple(Column(name, _logical(kind)) for name, kind in pairs))


def _logical(found: TypeInformation) -> LogicalType:
    known = _TYPES.get(found.name)
    if known is not None:
        return known
    if found.name == "LIST":
        return lt.array(_logical(found.parameters[0]))
    if found.name == "MAP":
        return lt.map_of(_logical(found.parameters[0]), _logical(found.parameters[1]))
    if found.parameters and found.name != "SET":
        row = columns_of(found)
        return lt.row(*[(column.name, column.type) for column in row.columns])
    raise refuse(f"records of type {found} have no type in SQL. Map them to tuples or rows first.")
