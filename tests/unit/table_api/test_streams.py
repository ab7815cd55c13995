"""A table of a stream is planned alike each time the program runs, so that its state is found again."""

from __future__ import annotations

from millstream.common import Configuration, Types
from millstream.datastream import StreamExecutionEnvironment
from millstream.table import EnvironmentSettings, StreamTableEnvironment, TableEnvironment
from millstream.table.expressions import col


def uids() -> list[str | None]:
    streams = StreamExecutionEnvironment.get_execution_environment()
    streams.set_parallelism(1)
    env = StreamTableEnvironment.create(streams)
    stream = streams.from_collection([(1, "a")], Types.TUPLE([Types.LONG(), Types.STRING()]))
    counts = env.from_data_stream(stream).group_by(col("f1")).select(col("f1"), col("f0").sum.alias("n"))
    env.to_changelog_stream(counts).print()
    env.to_changelog_stream(counts).print()
    return [node.uid for node in streams.get_stream_graph().nodes.values()]


def test_uids_do_not_depend_on_the_run(env: TableEnvironment) -> None:
    first = uids()
    given = [uid for uid in first if uid]
    assert len(set(given)) == len(given) >= 2
    assert uids() == first


def test_what_becomes_a_stream_and_is_not_read_does_not_run(env: TableEnvironment) -> None:
    streams = StreamExecutionEnvironment.get_execution_environment()
    tables = StreamTableEnvironment.create(streams)
    tables.to_data_stream(tables.from_data_stream(streams.from_collection([1], Types.LONG())))
    streams.from_collection([2], Types.LONG()).print()
    names = {node.name for node in streams.get_stream_graph().nodes.values()}
    assert "TableToStream" not in names


def test_what_a_program_sets_for_its_streams_holds_for_its_tables() -> None:
    streams = StreamExecutionEnvironment.get_execution_environment()
    own = Configuration().set_string("pipeline.max-parallelism", "64")
    tables = StreamTableEnvironment.create(streams, EnvironmentSettings.new_instance().with_configuration(own).build())
    tables.get_config().set("parallelism.default", "3")
    streams.enable_checkpointing("1 s")
    streams.set_parallelism(2).set_max_parallelism(32)
    read = tables.get_config().get
    assert read("execution.checkpointing.interval") == "1000 ms", "set after the environment was made"
    assert read("parallelism.default") == "3", "the session's own counts more"
    assert read("pipeline.max-parallelism") == "64", "and so do the settings that it was created with"
    streams.enable_checkpointing("2 s")
    assert read("execution.checkpointing.interval") == "2000 ms"
