"""Settings, execution, plans, and what is left of a program after it was executed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from millstream.client.session import Session, set_current_session
from millstream.common import Configuration
from millstream.core.config import load
from millstream.core.errors import ConfigError, UnavailableError
from millstream.datastream import CloseableIterator, RuntimeExecutionMode, StreamExecutionEnvironment

Env = StreamExecutionEnvironment


def parallelisms(env: Env) -> list[int]:
    graph = env.get_stream_graph()
    return [graph.nodes[number].parallelism for number in sorted(graph.nodes)]


def test_default_parallelism_may_be_set_before_or_after(env: Env) -> None:
    env.from_sequence(1, 2).map(str).set_parallelism(3).print()
    assert parallelisms(env) == [4, 3, 4]
    env.set_parallelism(2)
    assert parallelisms(env) == [2, 3, 2]


def test_without_any_setting_parallelism_is_the_number_of_slots() -> None:
    set_current_session(Session(load(overrides={"taskmanager.numberOfTaskSlots": 3})))
    assert Env.get_execution_environment().get_parallelism() == 3


def test_limits_bound_the_default(env: Env) -> None:
    env.from_collection([1]).map(str).set_max_parallelism(2)
    assert parallelisms(env) == [1, 2]


@pytest.mark.parametrize("given", [7, "7 ms", timedelta(milliseconds=7)])
def test_settings_travel_with_the_job(env: Env, submitter: Any, given: Any) -> None:
    env.set_max_parallelism(32).set_buffer_timeout(given).disable_operator_chaining()
    env.get_config().set_global_job_parameters({"who": "me"}).disable_generic_types()
    env.configure({"pipeline": {"auto-watermark-interval": "50 ms"}, "parallelism.default": 2})
    env.from_collection([1]).map(str).print()
    env.execute("settings")
    graph = submitter.jobs[0].translated.graph
    settings = {key: json.loads(value) for key, value in graph.configuration.items()}
    assert settings["pipeline.global-job-parameters"] == {"who": "me"}
    assert settings["pipeline.auto-watermark-interval"] == 50
    assert settings["execution.buffer-timeout.interval"] == 7
    assert (settings["pipeline.generic-types"], settings["pipeline.max-parallelism"]) == (False, 32)
    assert [len(vertex.operators) for vertex in graph.vertices] == [1, 1, 1]
    assert [vertex.parallelism for vertex in graph.vertices] == [1, 2, 2]


def test_getters(env: Env) -> None:
    assert (env.get_max_parallelism(), env.get_buffer_timeout(), env.is_chaining_enabled()) == (128, 100, True)
    env.set_buffer_timeout(-1).set_runtime_mode(RuntimeExecutionMode.AUTOMATIC)
    assert env.get_buffer_timeout() == -1
    assert env.get_config().set_parallelism(5).get_parallelism() == 5 == env.get_parallelism()


def test_configuration_objects() -> None:
    configuration = Configuration().set_integer("parallelism.default", 3).set_string("pipeline.name", "mine")
    copied = Configuration(configuration)
    assert copied == configuration and copied.remove_config("pipeline.name") and copied != configuration
    assert copied.get_integer("parallelism.default", 1) == 3 and not copied.contains_key("pipeline.name")
    assert Env.get_execution_environment(configuration).get_parallelism() == 3
    with pytest.raises(ConfigError, match="expected a whole number"):
        configuration.set("parallelism.default", "many")


def test_names_of_jobs(env: Env, submitter: Any) -> None:
    stream = env.from_collection([1])
    stream.print()
    env.execute()
    env.configure({"pipeline.name": "configured"})
    stream.print()
    env.execute()
    stream.print()
    result = env.execute("given")
    names = [job.translated.graph.name for job in submitter.jobs]
    assert names == ["Millstream job", "configured", "given"]
    assert result.job_name == "given"


def test_a_job_is_what_was_added_since_the_last_one_and_all_it_reads(env: Env, submitter: Any) -> None:
    numbers = env.from_sequence(1, 9).map(str)
    numbers.print()
    env.execute()
    numbers.filter(bool).discard()
    env.execute_async()
    kinds = [
        [operator.kind for vertex in job.translated.graph.vertices for operator in vertex.operators]
        for job in submitter.jobs
    ]
    assert kinds == [["source", "map", "sink"], ["source", "map", "filter", "sink"]]


def test_a_job_that_could_not_be_submitted_can_be_tried_again(env: Env, submitter: Any) -> None:
    stream = env.from_collection([1])
    stream.print()
    submitter.failure = UnavailableError("nobody")
    with pytest.raises(UnavailableError):
        env.execute()
    with pytest.raises(UnavailableError):
        stream.execute_and_collect()
    submitter.failure = None
    env.execute()
    assert [len(vertex.operators) for vertex in submitter.jobs[0].translated.graph.vertices] == [1, 1]


def test_collecting(env: Env, submitter: Any) -> None:
    submitter.values = [1, 2, 3]
    stream = env.from_sequence(1, 3).set_parallelism(2)
    with stream.execute_and_collect("numbers") as results:
        assert isinstance(results, CloseableIterator) and list(results) == [1, 2, 3]
    assert not submitter.jobs[0].cancelled
    graph = submitter.jobs[0].translated.graph
    assert (graph.name, len(graph.vertices), graph.vertices[0].collects) == ("numbers", 1, True)
    assert [operator.kind for operator in graph.vertices[0].operators] == ["source", "collect"]


def test_collecting_a_few_cancels_the_job(env: Env, submitter: Any) -> None:
    submitter.values = [1, 2, 3]
    assert env.from_sequence(1, 3).execute_and_collect(limit=2) == [1, 2]
    assert submitter.jobs[0].cancelled


def test_the_execution_plan_has_flinks_form(env: Env) -> None:
    source = env.from_collection([("a", 1)])
    source.key_by(0).sum(1).set_description("totals").connect(source).map((str, str)).print()
    nodes = json.loads(env.get_execution_plan())["nodes"]
    assert [(node["id"], node["type"], node["pact"], node["parallelism"]) for node in nodes] == [
        (1, "Source: collection", "Data Source", 1),
        (2, "sum", "Operator", 4),
        (3, "co-map", "Operator", 4),
        (4, "Sink: print", "Data Sink", 4),
    ]
    assert nodes[1]["predecessors"] == [{"id": 1, "ship_strategy": "HASH", "side": "first"}]
    assert nodes[1]["contents"] == "totals" and nodes[1]["output_type"] == "TUPLE<STRING, LONG>"
    assert [p["side"] for p in nodes[2]["predecessors"]] == ["first", "second"]
    env.execute()


@pytest.mark.parametrize("how", ["file", "stdin", "-c"])
def test_programs_from_files_and_interactive_ones(tmp_path: Path, how: str) -> None:
    """Functions of ``__main__`` travel by value wherever ``__main__`` comes from."""
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import cloudpickle
import local_words
from millstream.client.submit import set_submitter
from millstream.datastream import StreamExecutionEnvironment

def shout(word):
    return local_words.upper(word)

class Recorder:
    def submit(self, translated):
        for key in list(sys.modules):
            if key == "local_words":
                del sys.modules[key]
        import io, zipfile
        print(zipfile.ZipFile(io.BytesIO(translated.blobs[translated.graph.modules_blob])).namelist())
        payload = cloudpickle.loads(translated.blobs[translated.graph.vertices[-1].payload_blob])
        print(payload.operators[0].spec.function("be"), payload.operators[0].defined_at)
        sys.exit(0)

set_submitter(Recorder())
env = StreamExecutionEnvironment.get_execution_environment()
env.set_parallelism(2)
env.from_collection(["to"]).map(shout).print()
env.execute()
"""
    (tmp_path / "local_words.py").write_text("def upper(word):\n    return word.upper()\n")
    (tmp_path / "job.py").write_text(program)
    command = {"file": ["job.py"], "stdin": ["-"], "-c": ["-c", program]}[how]
    done = subprocess.run(
        [sys.executable, *command], input=program, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    modules, called = done.stdout.splitlines()
    assert modules == "['local_words.py']"
    assert called.startswith("BE ") and called.endswith(":26")


def test_importing_the_api_is_cheap() -> None:
    """What takes long to import is imported when a job needs it."""
    program = "import sys, millstream.datastream; print([m for m in ('pyarrow', 'grpc', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
