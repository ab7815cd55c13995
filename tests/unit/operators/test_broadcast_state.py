"""Process functions on a stream connected with a broadcast one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from millstream.core.api.broadcast_functions import BroadcastProcessFunction, KeyedBroadcastProcessFunction
from millstream.core.api.functions import RuntimeContext, TimeDomain
from millstream.core.api.operator_state import CheckpointedFunction
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millstream.core.errors import JobGraphError, UserCodeError
from millstream.core.graph.specs import BroadcastProcessSpec, KeyedBroadcastProcessSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode, run_in_all_modes

Rescale = Callable[[Sequence[bytes], int], list[bytes]]
RULES = MapStateDescriptor("rules")
LATEST = MapStateDescriptor("latest")
UNKNOWN = OutputTag("unknown")
COUNT = ValueStateDescriptor("count")


class Priced(BroadcastProcessFunction):
    """Multiplies by the factor of the name; what has none goes aside."""

    def process_element(self, value: tuple[str, int], ctx: Any) -> Iterator[Any]:
        factor = ctx.get_broadcast_state(RULES).get(value[0])
        if factor is None:
            yield UNKNOWN, value
        else:
            yield value[0], value[1] * factor, ctx.timestamp(), ctx.current_watermark(), ctx.current_processing_time()

    def process_broadcast_element(self, value: tuple[str, int | None], ctx: Any) -> Iterator[Any]:
        rules, latest = ctx.get_broadcast_state(RULES), ctx.get_broadcast_state(LATEST)
        name, factor = value
        if factor is None:
            rules.remove(name)
        else:
            rules.put(name, factor)
        yield "was", latest.get("name"), ctx.timestamp(), ctx.current_watermark()
        latest["name"] = name


PRICED = BroadcastProcessSpec(Priced(), (RULES, LATEST))
LOW = -(2**63)


def test_the_pattern_in_all_modes() -> None:
    def script(harness: OperatorHarness) -> None:
        harness.push([("a", 1)], [1])
        harness.push([("a", 10), ("b", 20)], [3, 4], input_index=1)
        harness.push([("a", 2), ("b", 3), ("c", 4)], [5, None, 6])
        harness.watermark(4, input_index=1)
        harness.watermark(6, input_index=0)
        harness.push([("b", None)], [7], input_index=1)
        harness.push([("b", 5), ("a", 6)], [8, 9])
        harness.end()

    def new_harness(mode: RunMode) -> OperatorHarness:
        return OperatorHarness(PRICED, key_selectors=(None, None), mode=mode)

    unbroken = tuple(mode for mode in ALL_MODES if not mode.restore_each_step)  # a restored one knows no watermark yet
    harness = run_in_all_modes(new_harness, script, unbroken)
    now = harness.clock.wall_ms()
    assert harness.records == [
        (("was", None, 3, LOW), 3),
        (("was", "a", 4, LOW), 4),
        (("a", 20, 5, LOW, now), 5),
        (("b", 60, None, LOW, now), None),
        (("was", "b", 7, 4), 7),
        (("a", 60, 9, 4, now), 9),
    ]
    assert harness.side_outputs == {"unknown": [(("a", 1), 1), (("c", 4), 6), (("b", 5), 8)]}
    assert harness.watermarks_ms == [4, 2**63 - 1]


def test_it_continues_from_a_snapshot() -> None:
    def script(harness: OperatorHarness) -> None:
        harness.push([("a", 10), ("b", 20)], input_index=1)
        harness.push([("b", None)], input_index=1)
        harness.push([("a", 2), ("b", 3)])

    def new_harness(mode: RunMode) -> OperatorHarness:
        return OperatorHarness(PRICED, key_selectors=(None, None), mode=mode)

    harness = run_in_all_modes(new_harness, script)
    assert [value[:2] for value in harness.values] == [("was", None), ("was", "a"), ("was", "b"), ("a", 20)]
    assert [value for value, _ in harness.side_outputs["unknown"]] == [("b", 3)]


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (1, 3), (3, 1)])
def test_every_subtask_gets_one_copy_at_another_parallelism(rescale: Rescale, before: int, after: int) -> None:
    snapshots = []
    for index in range(before):
        with OperatorHarness(PRICED, key_selectors=(None, None), parallelism=before, subtask_index=index) as harness:
            harness.push([("a", 10), ("b", 20), ("b", None), ("c", index)], input_index=1)
            snapshots.append(harness.snapshot())
    for index, snapshot in enumerate(rescale(snapshots, after)):
        with OperatorHarness(PRICED, key_selectors=(None, None), parallelism=after, subtask_index=index) as harness:
            harness.restore(snapshot)
            harness.push([("a", 1), ("b", 1), ("c", 1)])
            assert [value[:2] for value in harness.values] == [("a", 10), ("c", 0)]


class Alarms(KeyedBroadcastProcessFunction):
    """Counts per key; a timer tells the count, with the text that the broadcast stream gave for it."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count = runtime_context.get_state(COUNT)

    def process_element(self, value: str, ctx: Any) -> None:
        assert ctx.get_current_key() == value[0]
        self.count.update((self.count.value() or 0) + 1)
        delay_ms = ctx.get_broadcast_state(RULES)["delay"] or 10
        ctx.timer_service().register_event_time_timer(ctx.timestamp() + delay_ms)

    def process_broadcast_element(self, value: tuple[str, Any], ctx: Any) -> Any:
        if value[0] == "state":
            return [self.count.value()]
        if value[0] == "times":
            return [(ctx.timestamp(), ctx.current_watermark(), ctx.current_processing_time())]
        if value[0] == "each":
            changed: list[Any] = []

            def add(key: Any, state: Any) -> None:
                changed.append((key, state.value()))
                state.update(state.value() + value[1])

            ctx.apply_to_keyed_state(COUNT, add)
            return [sorted(changed)]
        ctx.get_broadcast_state(RULES).put(*value)
        return None

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        assert ctx.time_domain() is TimeDomain.EVENT_TIME and ctx.timestamp() == timestamp
        yield ctx.get_current_key(), self.count.value(), ctx.get_broadcast_state(RULES).get("text"), timestamp
        self.count.clear()


def first(value: str) -> str:
    return value[0]


def alarms(mode: RunMode | None = None, **settings: Any) -> OperatorHarness:
    spec = KeyedBroadcastProcessSpec(Alarms(), (RULES,))
    return OperatorHarness(spec, key_selectors=(first, None), mode=mode, **settings)


def test_keyed_state_and_timers_in_all_modes() -> None:
    def script(harness: OperatorHarness) -> None:
        harness.push(["a1", "b1", "a2"], [1, 2, 1])
        harness.push([("text", "x"), ("delay", 5)], input_index=1)
        harness.push(["c1"], [3])
        harness.watermark(9)
        harness.push([("text", "y")], input_index=1)
        harness.watermark(11)
        harness.push(["a3"], [20])
        harness.end()

    result = run_in_all_modes(alarms, script)
    assert result.records == [
        (("c", 1, "x", 8), 8),
        (("a", 2, "y", 11), 11),
        (("b", 1, "y", 12), 12),
        (("a", 1, "y", 25), 25),
    ]


def test_the_times_of_broadcast_records_beside_a_keyed_stream() -> None:
    with alarms() as harness:
        harness.push([("times", 0), ("times", 0)], [7, None], input_index=1)
        harness.watermark(8)
        harness.push([("times", 0)], [9], input_index=1)
        now = harness.clock.wall_ms()
        assert harness.records == [((7, LOW, now), 7), ((None, LOW, now), None), ((9, 8, now), 9)]


def test_the_state_of_all_keys_can_be_changed() -> None:
    def script(harness: OperatorHarness) -> None:
        harness.push(["a1", "b1", "a2", "c1"], [1, 2, 1, 8])
        harness.watermark(12)  # clears a and b
        harness.push(["b2", "d1"], [20, 21])
        harness.push([("each", 100), ("each", 1000)], input_index=1)
        harness.push(["d2"], [22])
        harness.end()

    result = run_in_all_modes(alarms, script)
    assert result.values == [
        ("a", 2, None, 11),
        ("b", 1, None, 12),
        [("b", 1), ("c", 1), ("d", 1)],
        [("b", 101), ("c", 101), ("d", 101)],
        ("c", 1101, None, 18),
        ("b", 1101, None, 30),
        ("d", 1102, None, 31),
        ("d", None, None, 32),
    ]


@pytest.mark.parametrize("descriptor", [ListStateDescriptor("seen"), MapStateDescriptor("seen")], ids=str)
@pytest.mark.parametrize("ttl", [False, True])
def test_every_kind_of_keyed_state_can_be_gone_through(descriptor: Any, ttl: bool) -> None:
    if ttl:
        descriptor = type(descriptor)(descriptor.name)
        descriptor.enable_time_to_live(StateTtlConfig.new_builder("1 s").build())

    class Lengths(KeyedBroadcastProcessFunction):
        def open(self, runtime_context: RuntimeContext) -> None:
            self.seen: Any = (
                runtime_context.get_list_state(descriptor)
                if isinstance(descriptor, ListStateDescriptor)
                else runtime_context.get_map_state(descriptor)
            )

        def process_element(self, value: str, ctx: Any) -> None:
            if isinstance(descriptor, ListStateDescriptor):
                self.seen.add(value)
            else:
                self.seen.put(value, 1)

        def process_broadcast_element(self, value: Any, ctx: Any) -> Iterator[Any]:
            found: list[Any] = []
            ctx.apply_to_keyed_state(descriptor, lambda key, state: found.append((key, sorted(state))))
            yield from sorted(found)

    spec = KeyedBroadcastProcessSpec(Lengths(), (RULES,))
    with OperatorHarness(spec, key_selectors=(first, None)) as harness:
        harness.push(["a1", "b1", "a2"])
        harness.restore(harness.snapshot())
        harness.push([0], input_index=1)
        assert harness.values == [("a", ["a1", "a2"]), ("b", ["b1"])]


def test_operator_state_of_a_broadcast_function_is_the_same_store() -> None:
    class Counted(Alarms, CheckpointedFunction):
        def initialize_state(self, context: Any) -> None:
            store = context.get_operator_state_store()
            self.rules = store.get_broadcast_state(RULES)
            self.totals = store.get_list_state(ListStateDescriptor("totals"))

        def snapshot_state(self, context: Any) -> None:
            pass

        def process_element(self, value: str, ctx: Any) -> Any:
            self.totals.add(value)
            return [(list(self.totals), dict(self.rules.items()))]

    spec = KeyedBroadcastProcessSpec(Counted(), (RULES,))
    with OperatorHarness(spec, key_selectors=(first, None), mode=RunMode(restore_each_step=True)) as harness:
        harness.push([("text", "x")], input_index=1)
        harness.push(["a1"])
        harness.push(["b1"])
        assert harness.values == [(["a1"], {"text": "x"}), (["a1", "b1"], {"text": "x"})]


# -- misuse ---------------------------------------------------------------------------------------------------------


class Does(BroadcastProcessFunction):
    def __init__(self, element: Callable[[Any], Any], broadcast: Callable[[Any], Any] = lambda ctx: None) -> None:
        self.element = element
        self.broadcast = broadcast

    def process_element(self, value: Any, ctx: Any) -> None:
        self.element(ctx)

    def process_broadcast_element(self, value: Any, ctx: Any) -> None:
        self.broadcast(ctx)


READ_ONLY = r"'p'.*'rules' can be changed in process_broadcast_element only"


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (lambda ctx: ctx.get_broadcast_state(RULES).put(1, 2), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(RULES).put_all({}), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(RULES).remove(1), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(RULES).clear(), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(RULES).__setitem__(1, 2), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(RULES).__delitem__(1), READ_ONLY),
        (lambda ctx: ctx.get_broadcast_state(LATEST), "broadcast state 'latest'.*called with 'rules'"),
        (lambda ctx: ctx.timer_service().register_event_time_timer(1), "sets a timer.*key_by"),
    ],
)
def test_what_process_element_must_not_do(element: Callable[[Any], Any], message: str) -> None:
    spec = BroadcastProcessSpec(Does(element), (RULES,))
    with (
        OperatorHarness(spec, key_selectors=(None, None), name="p") as harness,
        pytest.raises(JobGraphError, match=message) as caught,
    ):
        harness.push(["x"])
    assert caught.value.place.record == "'x'"


@pytest.mark.parametrize("keyed", [True, False])
def test_errors_name_the_method_and_the_record(keyed: bool) -> None:
    class Fails(Alarms if keyed else Priced):  # type: ignore[misc]
        def process_broadcast_element(self, value: Any, ctx: Any) -> None:
            raise ValueError("no")

    spec = (KeyedBroadcastProcessSpec if keyed else BroadcastProcessSpec)(Fails(), (RULES, LATEST))
    with (
        OperatorHarness(spec, key_selectors=(first if keyed else None, None), name="p") as harness,
        pytest.raises(UserCodeError, match=r"'p' failed in .*process_broadcast_element.*on the record 'x'"),
    ):
        harness.push(["x"], input_index=1)


def test_a_broadcast_record_has_no_key() -> None:
    with (
        alarms(name="p") as harness,
        pytest.raises(JobGraphError, match=r"'p'.*a broadcast record has no key.*apply_to_keyed_state"),
    ):
        harness.push(["a1"], [1])
        harness.push([("state", 0)], input_index=1)


def test_reads_of_the_view() -> None:
    seen: list[Any] = []

    def look(ctx: Any) -> None:
        state = ctx.get_broadcast_state(RULES)
        seen.append((dict(state.items()), list(state.keys()), list(state.values()), list(state), state.is_empty()))
        seen.append(("a" in state, state.contains("b"), state["a"], state.get("b")))

    spec = BroadcastProcessSpec(Does(look, lambda ctx: ctx.get_broadcast_state(RULES).put("a", 1)), (RULES,))
    with OperatorHarness(spec, key_selectors=(None, None)) as harness:
        harness.push([0])
        harness.push([0], input_index=1)
        harness.push([0])
    assert seen == [
        ({}, [], [], [], True),
        (False, False, None, None),
        ({"a": 1}, ["a"], [1], ["a"], False),
        (True, False, 1, None),
    ]
