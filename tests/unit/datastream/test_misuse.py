"""Misuse is refused at the user's line, in words that say what to do instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from millstream.core.errors import ConfigError, JobGraphError, MillstreamError, PicklingError
from millstream.datastream import OutputTag, RuntimeExecutionMode, StreamExecutionEnvironment
from millstream.datastream import functions as fn
from millstream.datastream.window import ContinuousEventTimeTrigger, EventTimeSessionWindows, TumblingEventTimeWindows

Env = StreamExecutionEnvironment


class Upper(fn.MapFunction[str, str]):
    def map(self, value: str) -> str:
        return value.upper()


class Empty(fn.MapFunction[str, str]):
    pass


class Split(fn.FlatMapFunction[str, str]):
    def flat_map(self, value: str) -> list[str]:
        return value.split()


class Timers(fn.KeyedProcessFunction):
    def process_element(self, value: Any, ctx: Any) -> Any: ...


class KeyedBoth(fn.KeyedCoProcessFunction):
    def process_element1(self, value: Any, ctx: Any) -> Any: ...
    def process_element2(self, value: Any, ctx: Any) -> Any: ...


class Mean(fn.AggregateFunction[Any, Any, Any]):
    def create_accumulator(self) -> Any: ...
    def add(self, value: Any, accumulator: Any) -> Any: ...
    def get_result(self, accumulator: Any) -> Any: ...


class Pair(NamedTuple):
    word: str
    count: int


def words(env: Env) -> Any:
    return env.from_collection(["to", "be"])


def pairs(env: Env) -> Any:
    return env.from_collection([("a", 1)])


def named(env: Env) -> Any:
    return env.from_collection([Pair("a", 1)])


WINDOW = TumblingEventTimeWindows.of("1 min")
CASES: list[tuple[Callable[[Env], Any], list[str]]] = [
    # functions
    (lambda env: words(env).map(42), ["map takes a function or a MapFunction", "42 of type int"]),
    (lambda env: words(env).map(Upper), ["write Upper()"]),
    (lambda env: words(env).map(Empty()), ["Empty does not define map"]),
    (lambda env: words(env).map(Split()), ["Split, a FlatMapFunction", "belongs in flat_map"]),
    (lambda env: words(env).map(lambda a, b: a), ["map calls its function with 1 argument", "(a, b)"]),
    (lambda env: words(env).filter(lambda: True), ["filter calls its function with 1 argument"]),
    (lambda env: words(env).key_by(len).reduce(lambda a: a), ["reduce calls its function with 2 arguments"]),
    (lambda env: words(env).process(lambda value: value), ["process calls its function with 2 arguments"]),
    (lambda env: words(env).process(Timers()), ["Timers has timers", "call key_by before process"]),
    (lambda env: words(env).process("x"), ["process takes a function or a ProcessFunction", "'x' of type str"]),
    # keys and fields
    (lambda env: words(env).key_by(1.5), ["key_by takes a function", "1.5 of type float"]),
    (lambda env: words(env).key_by(fn.NullByteKeySelector), ["write NullByteKeySelector()"]),
    (lambda env: pairs(env).key_by(2), ["no field 2", "TUPLE<STRING, LONG>", "positions 0 to 1"]),
    (lambda env: pairs(env).key_by("word"), ["no field 'word'", "TUPLE<STRING, LONG>"]),
    (lambda env: named(env).key_by("words"), ["no field 'words'", "word: STRING"]),
    (lambda env: words(env).key_by("a"), ["no field 'a'", "STRING"]),
    (lambda env: pairs(env).key_by([0, 5]), ["no field 5"]),
    (lambda env: pairs(env).key_by([]), ["a list of positions or names"]),
    (lambda env: pairs(env).key_by(0).sum(7), ["sum: the records have no field 7"]),
    (lambda env: pairs(env).key_by(0).sum(None), ["sum takes the position or name of a field"]),
    (lambda env: words(env).key_by(len).sum(), ["sum takes numbers", "STRING"]),
    (lambda env: pairs(env).project(), ["at least one position"]),
    (lambda env: pairs(env).project(3), ["no field 3"]),
    # what needs keys
    (lambda env: words(env).reduce(max), ["reduce needs a keyed stream", "call key_by first"]),
    (lambda env: words(env).sum(0), ["sum needs a keyed stream"]),
    (lambda env: words(env).window(WINDOW), ["window needs a keyed stream", "window_all"]),
    (lambda env: words(env).count_window(3), ["count_window_all"]),
    (
        lambda env: words(env).connect(pairs(env)).process(KeyedBoth()),
        ["KeyedBoth has timers", "call key_by(selector1, selector2)"],
    ),
    (lambda env: words(env).key_by(len).rebalance(), ["partitioned by its key", "rebalance"]),
    # several streams
    (lambda env: words(env).union(), ["union takes at least one other stream"]),
    (lambda env: words(env).union([words(env)]), ["union takes streams"]),
    (lambda env: words(env).union(words(Env.get_execution_environment())), ["one environment"]),
    (lambda env: words(env).connect(None), ["connect takes streams"]),
    (lambda env: words(env).connect(pairs(env)).map(len), ["CoMapFunction"]),
    (lambda env: words(env).connect(pairs(env)).map((len,)), ["a pair of functions"]),
    # windows
    (lambda env: words(env).key_by(len).window("1 min"), ["window takes a WindowAssigner", "'1 min' of type str"]),
    (lambda env: words(env).window_all(TumblingEventTimeWindows), ["an instance of TumblingEventTimeWindows"]),
    (lambda env: words(env).key_by(len).count_window("3"), ["whole numbers of records"]),
    (lambda env: words(env).key_by(len).window(WINDOW).trigger(5), ["trigger takes a Trigger", "CountTrigger.of(100)"]),
    (lambda env: words(env).key_by(len).window(WINDOW).evictor(5), ["evictor takes a Evictor"]),
    (lambda env: words(env).key_by(len).window(WINDOW).allowed_lateness(-1), ["must not be negative"]),
    (lambda env: words(env).key_by(len).window(WINDOW).side_output_late_data("late"), ["OutputTag('late')"]),
    (lambda env: words(env).key_by(len).window(WINDOW).aggregate(len), ["aggregate takes a AggregateFunction"]),
    (lambda env: words(env).key_by(len).window(WINDOW).process(lambda values: []), ["with 3 arguments"]),
    (lambda env: words(env).window_all(WINDOW).process(lambda key, context, values: []), ["with 2 arguments"]),
    (
        lambda env: words(env).key_by(len).window(EventTimeSessionWindows.with_gap("1s")).aggregate(Mean()),
        ["Mean must define merge"],
    ),
    # settings
    (lambda env: words(env).set_parallelism(0), ["from 1 to 32768"]),
    (lambda env: words(env).set_parallelism(2), ["'collection' can have parallelism 1 at most"]),
    (lambda env: words(env).window_all(WINDOW).sum(0).set_parallelism(2), ["sum takes numbers"]),
    (lambda env: pairs(env).window_all(WINDOW).sum(1).set_parallelism(2), ["at most, not 2"]),
    (lambda env: words(env).map(str).force_non_parallel().set_parallelism(2), ["force_non_parallel"]),
    (lambda env: words(env).key_by(len).name("x"), ["name is a setting of an operator"]),
    (lambda env: words(env).union(words(env)).uid("x"), ["uid is a setting of an operator"]),
    (lambda env: words(env).uid(""), ["uid takes a text that is not empty"]),
    (lambda env: words(env).get_side_output("late"), ["get_side_output takes a OutputTag"]),
    (lambda env: words(env).rebalance().get_side_output(OutputTag("x")), ["setting of an operator"]),
    (lambda env: env.set_parallelism(True), ["whole number"]),
    (lambda env: env.set_runtime_mode(RuntimeExecutionMode.BATCH), ["batch mode does not exist"]),
    (lambda env: env.set_buffer_timeout(-5), ["-1, 0 or more"]),
    # sources and sinks
    (lambda env: env.from_collection("text"), ["from_collection takes a list"]),
    (lambda env: env.from_collection([1, "a"], type_info=int), ["position 1", "'a'"]),
    (lambda env: env.from_collection([1], type_info="INT"), ["'INT' as a type"]),
    (lambda env: env.from_sequence(3, 1), ["ends (1) before it starts (3)"]),
    (lambda env: env.from_source([1]), ["from_source takes a Source"]),
    (lambda env: env.read_text(5), ["a path is a text"]),
    (lambda env: env.read_csv("x.csv", on_malformed="explode"), ["on_malformed must be"]),
    (lambda env: words(env).write_csv("out", roll="1 min"), ["unknown option 'roll'"]),
    (lambda env: words(env).sink_to(print), ["sink_to takes a Sink"]),
    (lambda env: words(env).map(str, output_type="x"), ["map got 'x' as a type"]),
    (lambda env: words(env).execute_and_collect(limit=0), ["a limit of at least 1"]),
]


@pytest.mark.parametrize(("misuse", "words"), CASES)
def test_refused_at_the_users_line(env: Env, misuse: Callable[[Env], Any], words: list[str]) -> None:
    with pytest.raises(JobGraphError) as caught:
        misuse(env)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    file, line, _ = message.split(":", 2)
    assert file.endswith("test_misuse.py"), message
    assert int(line) > 0


def test_hasattr_works_on_streams_without_keys(env: Env) -> None:
    assert not hasattr(words(env), "reduce") and hasattr(words(env).key_by(len), "reduce")
    with pytest.raises(AttributeError, match="no attribute 'mapp'"):
        words(env).mapp(str)


def test_a_merging_window_needs_a_trigger_that_can_follow(env: Env) -> None:
    class NoMerge(ContinuousEventTimeTrigger[Any, Any]):
        def can_merge(self) -> bool:
            return False

    windows = words(env).key_by(len).window(EventTimeSessionWindows.with_gap("1s"))
    with pytest.raises(JobGraphError, match="cannot follow"):
        windows.trigger(NoMerge(1000))


def test_the_whole_program_is_checked_at_execute(env: Env) -> None:
    with pytest.raises(JobGraphError, match="empty"):
        env.execute()
    mapped = words(env).map(str).uid("same")
    mapped.filter(bool).uid("same")
    with pytest.raises(JobGraphError, match=r"(?s)'same'.*test_misuse.py:\d+.*test_misuse.py:\d+"):
        env.execute()


def test_forward_between_different_parallelisms(env: Env) -> None:
    env.from_sequence(1, 2).set_parallelism(2).forward().map(str).set_parallelism(3)
    with pytest.raises(JobGraphError, match="needs the same parallelism on both sides, not 2 and 3"):
        env.execute()


def test_a_duration_or_setting_that_is_none(env: Env) -> None:
    with pytest.raises(ConfigError, match="not a duration"):
        words(env).set_buffer_timeout("soon")
    with pytest.raises(ConfigError, match="Did you mean"):
        env.configure({"parallelism.defalt": 2})


CAPTURED = threading.Lock()


def test_streams_and_environments_cannot_be_captured(env: Env) -> None:
    stream = words(env)
    for captured in (env, stream):
        program = Env.get_execution_environment()
        program.from_collection([1]).map(lambda value, captured=captured: (captured, value)).print()
        with pytest.raises(PicklingError) as caught:
            program.execute()
        assert "default value of its parameter 'captured'" in str(caught.value)
        assert "there are no streams" in str(caught.value)


def test_all_refusals_are_errors_of_the_user() -> None:
    assert issubclass(JobGraphError, MillstreamError) and JobGraphError.blame.value == "USER"
