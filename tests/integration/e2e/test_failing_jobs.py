"""What a user gets for a mistake: the place, the remedy, no stack of ours, and nothing left behind."""

import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.integration

Run = Callable[..., Any]


def assert_no_stack_of_ours(err: str) -> None:
    assert "/taskmanager/" not in err and "/jobmanager/" not in err and "millstream/core" not in err, err


def test_a_script_that_raises_shows_its_own_lines_only(run_job: Run) -> None:
    done = run_job("def broken():\n    raise ValueError('my own mistake')\nbroken()\n").expect(1)
    assert "ValueError: my own mistake" in done.err
    assert "job.py" in done.err
    assert_no_stack_of_ours(done.err)


def test_an_exception_in_a_function_names_operator_line_and_record(run_job: Run) -> None:
    done = run_job(
        "def parse(value):\n    return 10 // value['x']\n"
        "env.from_collection([{'x': 2}, {'x': 0}]).map(parse).name('divide').print()\nenv.execute()\n"
    ).expect(1)
    assert "operator 'divide' failed in parse" in done.err
    assert re.search(r"job\.py, line 5\)", done.err)
    assert "{'x': 0}" in done.err and "ZeroDivisionError" in done.err
    assert_no_stack_of_ours(done.err)


def test_what_cannot_be_pickled_is_named(run_job: Run) -> None:
    done = run_job(
        "import threading\nmy_lock = threading.Lock()\n"
        "def guarded(value):\n    with my_lock:\n        return value\n"
        "env.from_collection([1]).map(guarded).print()\nenv.execute()\n"
    ).expect(1)
    assert "my_lock" in done.err and "lock" in done.err and "open()" in done.err
    assert_no_stack_of_ours(done.err)


@pytest.mark.parametrize(
    ("name", "content", "read", "place"),
    [
        ("in.csv", "a,b\n1,2\nx,3\n", "env.read_csv('in.csv', schema={'a': int})", "in.csv, line 3: column a: 'x'"),
        ("in.ndjson", '{"a": 1}\n{"a": }\n', "env.read_json('in.ndjson')", "in.ndjson, line 2: malformed JSON"),
    ],
)
def test_malformed_rows_name_file_and_line(
    shell: Any, run_job: Run, name: str, content: str, read: str, place: str
) -> None:
    (shell.directory / name).write_text(content)
    done = run_job(f"{read}.print()\nenv.execute()\n").expect(1)
    assert place in done.err and "on_malformed" in done.err
    assert_no_stack_of_ours(done.err)
    skipped = read[:-1] + ", on_malformed='skip')"
    done = run_job(f"with {skipped}.execute_and_collect() as rows:\n    print('rows', len(list(rows)))\n").expect(0)
    assert "rows 1" in done.out


@pytest.mark.parametrize(
    ("death", "story"),
    [
        ("os._exit(3)", "exited with code 3"),
        ("ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    ],
)
def test_a_slot_that_dies_is_named_and_replaced(run_job: Run, death: str, story: str) -> None:
    done = run_job(
        "import ctypes, os\nenv.set_parallelism(2)\n"
        f"env.from_sequence(1, 100).map(lambda n: {death} if n == 50 else n).discard()\n"
        "try:\n    env.execute('dies')\nexcept Exception as error:\n    print('failed:', error)\n"
        "print('next:', sorted(env.from_sequence(1, 3).execute_and_collect(limit=3)))\n"
    ).expect(0)
    assert story in done.out
    assert "next: [1, 2, 3]" in done.out


def test_a_job_larger_than_a_fixed_cluster_is_refused_with_numbers(run_job: Run) -> None:
    done = run_job(
        "env.set_parallelism(8)\nenv.from_sequence(1, 10).print()\nenv.execute()\n",
        "-D",
        "taskmanager.numberOfTaskSlots=2",
    ).expect(1)
    assert "needs 8 slots" in done.err and "more than 2" in done.err


def test_unreachable_jobmanager_and_unknown_setting(shell: Any) -> None:
    script = shell.script("env.from_sequence(1, 10).print()\nenv.execute()\n")
    done = shell.run("run", "--jobmanager", "127.0.0.1:1", script).expect(3)
    assert "127.0.0.1:1" in done.err and "millstream cluster start" in done.err
    done = shell.run("run", "-D", "taskmanager.numberOfTaskSlot=2", script).expect(2)
    assert "Did you mean 'taskmanager.numberOfTaskSlots'" in done.err


def test_a_program_without_operators(run_job: Run) -> None:
    done = run_job("env.from_sequence(1, 10)\nenv.execute()\n").expect(1)
    assert "does nothing" in done.err and "job.py" in done.err
    assert "the job is empty" in run_job("env.execute()\n").expect(1).err


def test_modules_beside_the_script_are_shipped(shell: Any, run_job: Run) -> None:
    package = shell.directory / "mylib"
    package.mkdir()
    (package / "__init__.py").write_text("from mylib.inner import twice\n")
    (package / "inner.py").write_text("def twice(n):\n    return 2 * n\n")
    (package / "late.py").write_text("def thrice(n):\n    return 3 * n\n")
    (shell.directory / "alone.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
    )
    done = run_job(
        "import alone, mylib\n"
        "def late(n):\n    from mylib.late import thrice\n    return alone.Point(thrice(mylib.twice(n)))\n"
        "points = env.from_sequence(1, 3).map(late).key_by(lambda p: p.x).reduce(lambda a, b: a)\n"
        "with points.execute_and_collect() as rows:\n    print(sorted(p.x for p in rows))\n"
    ).expect(0)
    assert "[6, 12, 18]" in done.out


def test_files_named_like_library_modules_do_not_disturb_the_servers(shell: Any, run_job: Run) -> None:
    (shell.directory / "queue.py").write_text("raise SystemExit('imported the wrong queue')\n")
    (shell.directory / "asyncio.py").write_text("raise SystemExit('imported the wrong asyncio')\n")
    (shell.directory / "sub").mkdir()
    (shell.directory / "sub" / "job.py").write_text(
        "from millstream.datastream import StreamExecutionEnvironment\n"
        "env = StreamExecutionEnvironment.get_execution_environment()\n"
        "env.from_collection(['fine']).print()\nenv.execute()\n"
    )
    assert "fine" in shell.run("run", "--local", "--quiet", "sub/job.py").expect(0).out


def test_closing_results_early_cancels_an_endless_job(run_job: Run) -> None:
    done = run_job(
        "from millstream.connectors.sequence import DataGeneratorSource\n"
        "endless = env.from_source(DataGeneratorSource(None, rows_per_second=10000))\n"
        "with endless.execute_and_collect('endless') as rows:\n    first = next(rows)\n"
        "print('status', rows.job.status().name)\n"
    ).expect(0)
    assert "status CANCELED" in done.out
