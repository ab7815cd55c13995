"""``millstream sql`` as users run it: -e, -f, standard input, and the shell on a terminal."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import DEADLINE_S, MILLSTREAM, assert_nothing_left, environment, millstream, start
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from millstream.client.sql_shell.prompt import Prompt
from millstream.client.sql_shell.shell import Shell
from millstream.core.clock import SystemClock
from millstream.core.config import load
from millstream.sql.session.sql_session import SqlSession

pytestmark = pytest.mark.integration

TABLE = "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'print');\n"


def test_texts_share_a_session(home: Path) -> None:
    done = millstream(home, "sql", "-e", TABLE, "-e", "SHOW TABLES")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "+------------+",
        "| table name |",
        "+------------+",
        "| t          |",
        "+------------+",
    ]
    assert done.stderr == "1 row\n"


def test_a_file_stops_at_its_first_error_and_names_the_place(home: Path) -> None:
    (home / "job.sql").write_text(TABLE + "SHOW TABLES;\n\n  DESCRIBE tt;\nSHOW CATALOGS;\n")
    done = millstream(home, "sql", "-f", "job.sql")
    assert done.returncode == 1
    assert "| t " in done.stdout
    assert "catalog" not in done.stdout
    assert done.stderr.endswith(
        "error: job.sql, line 4, column 3: unknown table or view tt in default_catalog.default_database\n"
        "    DESCRIBE tt;\n    ^\nDid you mean t?\n"
    )


def test_an_init_file_comes_first(home: Path) -> None:
    (home / "init.sql").write_text(TABLE + "SET 'table.exec.state.ttl' = '1 h';")
    done = millstream(home, "sql", "-i", "init.sql", "-D", "parallelism.default=3", "-e", "SHOW TABLES; SET;")
    assert done.returncode == 0, done.stderr
    assert "| t " in done.stdout
    assert "table.exec.state.ttl | 1 h" in done.stdout
    assert "parallelism.default" in done.stdout


def test_standard_input_is_a_script(home: Path) -> None:
    done = subprocess.run(
        [*MILLSTREAM, "sql"],
        cwd=home,
        env=environment(home),
        input="SHOW DATABASES;",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "default_database" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-j", "x.jar", "-e", "SHOW TABLES"], "takes no jars"),
        (["-f", "nowhere.sql"], "cannot read nowhere.sql"),
        (["-f", "x", "-e", "y"], "exclude each other"),
    ],
)
def test_wrong_arguments(home: Path, arguments: list[str], message: str) -> None:
    done = millstream(home, "sql", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_statement_set_must_end(home: Path) -> None:
    done = millstream(home, "sql", "-e", f"{TABLE} BEGIN STATEMENT SET; INSERT INTO t SELECT 1, 'x';")
    assert done.returncode == 1
    assert "BEGIN STATEMENT SET without END" in done.stderr


def typed(text: str) -> list[str]:
    """The lines that the shell writes when ``text`` is typed."""
    lines: list[str] = []
    session = SqlSession(load())
    with create_pipe_input() as keys:
        keys.send_text(text)
        prompt = Prompt(session, None, input=keys, output=DummyOutput())
        Shell(session, prompt, lines.append, SystemClock(), lambda: lines.append("cleared"), live=None).run()
    return lines


def test_the_shell_reads_statements_of_several_lines() -> None:
    lines = typed(
        "SET 'sql-client.display.print-time-cost'\r= 'false';\rCREATE TABLE t\r(a INT);\rSHOW TABLES;\rquit\r"
    )
    assert lines[1:] == [
        "OK",
        "OK",
        "+------------+",
        "| table name |",
        "+------------+",
        "| t          |",
        "+------------+",
        "1 row",
    ]


def test_an_error_does_not_end_the_shell() -> None:
    lines = typed("SHOW TABELS;\rclear;\rhelp\r\rSHOW CURRENT CATALOG;\rexit;\r")
    assert lines[1].startswith("error: line 1, column 6: expected CATALOGS")
    assert lines[2] == "cleared"
    assert lines[3].startswith("Statements end with a semicolon")
    assert "| default_catalog" in "\n".join(lines[4:])


def test_the_shell_on_a_terminal_keeps_its_history(home: Path) -> None:
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-m", "millstream.client.cli.main", "sql"],
        cwd=home,
        env=environment(home, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, "millstream>")
        os.write(ours, b"SHOW CATALOGS;\r")
        seen += _read_until(ours, "1 row")
        os.write(ours, b"QUIT;\r")
        assert shell.wait(30) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    assert "default_catalog" in seen
    assert "SHOW CATALOGS;" in (home / ".millstream" / "sql_history").read_text()


def _read_until(terminal: int, text: str) -> str:
    """What appears on the terminal up to ``text``; the answer to a question for the cursor is given."""
    seen = ""
    while text not in seen:
        piece = os.read(terminal, 4096).decode(errors="replace")
        if "\x1b[6n" in piece:
            os.write(terminal, b"\x1b[1;1R")
        seen += piece
    return seen


QUERIES = """
CREATE TABLE g (k INT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10',
  'fields.k.min' = '1', 'fields.k.max' = '1',
  'fields.v.kind' = 'sequence', 'fields.v.start' = '1', 'fields.v.end' = '10');
CREATE TABLE p (k INT, d BIGINT) WITH ('connector' = 'print');
SELECT k, v FROM g WHERE v > 9;
INSERT INTO p SELECT k, v * 2 FROM g WHERE v = 5;
"""


def test_queries_run_on_the_embedded_cluster(home: Path) -> None:
    (home / "job.sql").write_text(QUERIES)
    done = millstream(home, "sql", "--local", "-f", "job.sql")
    assert done.returncode == 0, done.stderr
    assert "|           1 |                   10 |" in done.stdout
    assert "+I[1, 10]" in done.stdout
    assert "is submitted." in done.stderr
    assert_nothing_left(home)


def test_an_error_in_a_query_has_its_place(home: Path) -> None:
    (home / "job.sql").write_text(QUERIES.replace("SELECT k, v FROM g", "SELECT k,\n  w FROM g"))
    done = millstream(home, "sql", "--local", "-f", "job.sql")
    assert done.returncode == 1
    assert "job.sql, line 7, column 3" in done.stderr
    assert "w FROM g WHERE v > 9;\n    ^" in done.stderr
    assert_nothing_left(home)


ENDLESS = """
CREATE TABLE g (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000');
SELECT v FROM g;
"""


def test_an_interrupt_cancels_the_query(home: Path) -> None:
    running = start(home, "sql", "--local", "-e", ENDLESS)
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("| ") and "v |" not in line:
            break
    os.kill(running.pid, signal.SIGINT)
    running.communicate(timeout=DEADLINE_S)
    assert running.returncode == 130
    assert_nothing_left(home)
