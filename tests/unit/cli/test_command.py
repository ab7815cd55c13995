"""The command itself: help, usage errors, settings, secrets, scripts; none of these needs a cluster."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MILLSTREAM = [sys.executable, "-m", "millstream.client.cli.main"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory without settings, also the home directory."""
    return tmp_path


def millstream(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    environ |= {"HOME": str(home), **variables}
    return subprocess.run([*MILLSTREAM, *arguments], cwd=home, env=environ, capture_output=True, text=True, timeout=60)


def test_help_lists_commands_and_exit_codes_without_loading_them(home: Path) -> None:
    program = (
        "import sys\n"
        "from millstream.client.cli.main import run_command\n"
        "code = run_command(['--help'])\n"
        "heavy = {'grpc', 'numpy', 'pyarrow', 'numba', 'rich', 'google.protobuf', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy or code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=home, timeout=60)
    assert done.returncode == 0, done.stderr
    for word in ("run", "info", "list", "cancel", "cluster", "jobmanager", "taskmanager", "config", "secret", "130"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "command",
    ["run", "info", "list", "cancel", "cluster start", "cluster stop", "cluster status", "jobmanager", "taskmanager",
     "config", "secret create"],
)  # fmt: skip
def test_every_command_has_help(home: Path, command: str) -> None:
    done = millstream(home, *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: millstream {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["run", "--local"], "Missing argument 'SCRIPT'"),
        (["run", "nothing.py"], "'nothing.py' does not exist"),
        (["run", "-p", "0", "x.py"], "0 is not in the range"),
        (["config", "-D", "heartbeat.intervall=1"], "Did you mean 'heartbeat.interval'?"),
        (["config", "-D", "heartbeat"], "expected -D KEY=VALUE"),
        (["config", "heartbeat.timeot"], "Did you mean 'heartbeat.timeout'?"),
        (["list", "-m", ":port"], "expected HOST:PORT"),
    ],
)
def test_usage_errors_say_what_is_meant_and_exit_with_2(home: Path, arguments: list[str], message: str) -> None:
    done = millstream(home, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_config_shows_values_and_origins(home: Path) -> None:
    (home / "millstream.toml").write_text("parallelism.default = 4\n")
    done = millstream(
        home, "config", "--changed", "--output", "json", "-D", "security.secret=x", MILLSTREAM_HEARTBEAT_INTERVAL="1 s"
    )
    assert json.loads(done.stdout) == [
        {"key": "security.secret", "value": "******", "origin": "-D on the command line"},
        {"key": "heartbeat.interval", "value": "1 s", "origin": "environment variable MILLSTREAM_HEARTBEAT_INTERVAL"},
        {"key": "parallelism.default", "value": "4", "origin": f"{home}/millstream.toml, line 1"},
    ]
    everything = millstream(home, "config").stdout
    assert "taskmanager.memory.segment-size" in everything and "128 kb" in everything
    assert millstream(home, "config", "--changed", MILLSTREAM_CONF_FILE="").stdout == "Every setting has its default.\n"


def test_a_secret_is_private_and_never_overwritten_by_accident(home: Path) -> None:
    path = home / "keys" / "secret"
    assert millstream(home, "secret", "create", str(path)).returncode == 0
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.strip()) >= 32
    again = millstream(home, "secret", "create", str(path))
    assert again.returncode == 2 and "exists already" in again.stderr
    assert path.read_text() == first
    assert millstream(home, "secret", "create", "--force", str(path)).returncode == 0
    assert path.read_text() != first
    assert list(path.parent.iterdir()) == [path]


def test_info_of_a_script_without_a_job(home: Path) -> None:
    (home / "empty.py").write_text("print('hello')\n")
    done = millstream(home, "info", "empty.py")
    assert done.returncode == 1
    assert done.stdout == "" and "hello" in done.stderr and "without submitting a job" in done.stderr


def test_info_of_sql_shows_the_first_job_and_names_the_line_that_is_wrong(home: Path) -> None:
    (home / "job.sql").write_text(
        "SET 'pipeline.name' = 'counts';\nSELECT n, COUNT(*) FROM (VALUES (1)) AS t(n) GROUP BY n;\n"
    )
    done = millstream(home, "info", "-p", "3", "job.sql")
    assert done.returncode == 0, done.stderr
    assert "Job 'counts'" in done.stdout and "GroupAggregate" in done.stdout and "parallelism 3" in done.stdout
    (home / "wrong.sql").write_text("SELECT\n  missing FROM (VALUES (1)) AS t(n);\n")
    wrong = millstream(home, "info", "wrong.sql")
    assert wrong.returncode != 0 and "wrong.sql, line 2, column 3" in wrong.stderr and wrong.stdout == ""


def test_a_script_that_raises_shows_its_own_lines_only(home: Path) -> None:
    (home / "helper.py").write_text("def fail():\n    raise ValueError('no good')\n")
    (home / "broken.py").write_text(
        "import helper\ntry:\n    helper.fail()\nexcept ValueError as error:\n    raise KeyError('x') from error\n"
    )
    done = millstream(home, "info", "broken.py")
    assert done.returncode == 1
    assert f'File "{home}/broken.py", line 5, in <module>' in done.stderr
    assert f'File "{home}/helper.py", line 2, in fail' in done.stderr
    assert "direct cause" in done.stderr and done.stderr.rstrip().endswith("KeyError: 'x'")
    assert "millstream/client" not in done.stderr and "runpy" not in done.stderr


def test_a_script_sees_what_python_would_show_it(home: Path) -> None:
    (home / "seen.py").write_text(
        "import sys, json\nassert __name__ == '__main__'\n"
        "sys.exit(json.dumps([sys.argv, sys.path[0], __file__, sys.modules['__main__'].__file__]))\n"
    )
    done = millstream(home, "info", "seen.py", "--flag", "-p", "3", "word")
    assert json.loads(done.stderr) == [
        [str(home / "seen.py"), "--flag", "-p", "3", "word"], str(home), str(home / "seen.py"), str(home / "seen.py")
    ]  # fmt: skip


@pytest.mark.parametrize(("statement", "code"), [("sys.exit(7)", 7), ("sys.exit('sorry')", 1), ("1 / 0", 1)])
def test_the_exit_code_of_a_script(home: Path, statement: str, code: int) -> None:
    (home / "ending.py").write_text(f"import sys\n{statement}\n")
    assert millstream(home, "info", "ending.py").returncode == code


def test_a_syntax_error_points_into_the_script(home: Path) -> None:
    (home / "typo.py").write_text("x = = 1\n")
    done = millstream(home, "info", "typo.py")
    assert done.returncode == 1
    assert 'typo.py", line 1' in done.stderr and "SyntaxError" in done.stderr and "runpy" not in done.stderr


def test_detached_needs_a_cluster_that_stays(home: Path) -> None:
    (home / "job.py").write_text("")
    done = millstream(home, "run", "--detached", "job.py")
    assert done.returncode == 2 and "outlives this command" in done.stderr
    done = millstream(home, "run", "--local", "--jobmanager", "a:1", "job.py")
    assert done.returncode == 2 and "exclude each other" in done.stderr


def test_nothing_runs_where_nothing_was_started(home: Path) -> None:
    assert "No cluster was running" in millstream(home, "cluster", "stop").stdout
    done = millstream(home, "cluster", "status", "-D", "jobmanager.rpc.port=1", "-D", "client.timeout=1 s")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr and "Traceback" not in done.stderr
