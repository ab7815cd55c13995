"""``millstream sql``: SQL in a shell, from a file, or from the command line."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.recovery import recovery_options, with_recovery
from millstream.client.cli.run import cancel_jobs, choose_cluster, open_session
from millstream.client.cli.settings import jobmanager_option, load_settings, settings_option
from millstream.client.error_report import error_text
from millstream.client.session import Session, set_current_session
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration
from millstream.core.errors import MillstreamError

if TYPE_CHECKING:
    from millstream.sql.session.sql_session import SqlSession

HISTORY_FILE = Path("~/.millstream/sql_history")


@click.command()
@click.option("-f", "--file", "file", metavar="FILE", help="Execute the statements of FILE ('-': standard input).")
@click.option("-e", "--execute", "texts", multiple=True, metavar="TEXT", help="Execute TEXT; may be given again.")
@click.option("-i", "--init", "init", metavar="FILE", help="Execute the statements of FILE before anything else.")
@click.option("-j", "--jar", "jars", multiple=True, metavar="PATH", hidden=True)
@click.option("--local", is_flag=True, help="Use an embedded cluster, whatever is configured.")
@jobmanager_option
@recovery_options
@settings_option
def command(
    file: str | None,
    texts: tuple[str, ...],
    init: str | None,
    jars: tuple[str, ...],
    local: bool,
    jobmanager: str | None,
    from_savepoint: str | None,
    claim: bool | None,
    allow_non_restored_state: bool,
    settings: tuple[str, ...],
) -> int:
    """Execute SQL statements: in a shell, or those of -f and -e.

    Queries and INSERTs run on the JobManager given by --jobmanager or by the setting jobmanager.rpc.address, else on
    the cluster that 'millstream cluster start' started, else on an embedded one.

    With -f and -e, the first statement that fails ends the command with its line and column.
    """
    if jars:
        raise click.UsageError(
            "-j: Millstream runs no JVM and takes no jars. Functions are Python: CREATE FUNCTION f AS 'module.f' "
            "LANGUAGE PYTHON; connectors are Python packages that are installed."
        )
    if local and jobmanager:
        raise click.UsageError("--local and --jobmanager exclude each other.")
    if file is not None and texts:
        raise click.UsageError("-f and -e exclude each other.")
    configuration = choose_cluster(load_settings(settings, jobmanager), local)
    configuration = with_recovery(configuration, from_savepoint, claim, allow_non_restored_state)
    return _run(configuration, init, _scripts(file, texts))


def _scripts(file: str | None, texts: tuple[str, ...]) -> list[tuple[str, str]] | None:
    """Names and texts of what is to be executed; None: the shell is wanted."""
    if file == "-" or (file is None and not texts and not sys.stdin.isatty()):
        return [("standard input", sys.stdin.read())]
    if file is not None:
        return [(file, _read(file))]
    return [("-e", text) for text in texts] or None


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8 text (byte {error.start}).") from error


def _run(configuration: Configuration, init: str | None, scripts: list[tuple[str, str]] | None) -> int:
    from millstream.client.queries.runner import ClusterRunner
    from millstream.sql.session.sql_session import SqlSession

    sys.path.insert(0, str(Path.cwd()))  # modules of Python functions lie beside the scripts, as with `python -m`
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as tidily as by Ctrl-C
    cluster = open_session(configuration, detached=False, quiet=False)
    set_current_session(cluster)
    begin = [(init, _read(init))] if init is not None else []
    try:
        session = SqlSession(configuration, runner=ClusterRunner())
        if scripts is None:
            _shell(session, begin)
            _leave_jobs(cluster)
        else:
            _execute(session, [*begin, *scripts])
            wait_for_jobs(cluster)
    except KeyboardInterrupt:
        cancel_jobs(cluster, detached=not cluster.is_embedded)
        return ExitCode.INTERRUPTED
    except MillstreamError as error:
        click.echo(error_text(error), err=True)
        _leave_jobs(cluster)
        return ExitCode.FAILED
    finally:
        cluster.close()
        set_current_session(None)
    return ExitCode.OK


def _execute(session: SqlSession, scripts: list[tuple[str, str]]) -> None:
    from millstream.client.sql_shell.script_run import run_script

    for name, text in scripts:
        run_script(session, name, text, write=click.echo, say=_say)


def _shell(session: SqlSession, begin: list[tuple[str, str]]) -> None:
    from millstream.client.sql_shell.prompt import Prompt
    from millstream.client.sql_shell.shell import Shell

    _execute(session, begin)
    Shell(session, Prompt(session, HISTORY_FILE.expanduser()), click.echo, SystemClock(), click.clear).run()


def wait_for_jobs(cluster: Session) -> None:
    """An embedded cluster must not end before the jobs that a script submitted; others go on without this command."""
    if cluster.is_embedded:
        for job in cluster.jobs:
            if not job.has_ended:
                job.wait()


def _leave_jobs(cluster: Session) -> None:
    """The end of this command is the end of an embedded cluster, and of what runs on it."""
    cancel_jobs(cluster, detached=not cluster.is_embedded)


def _say(text: str) -> None:
    click.echo(text, err=True)


COMMANDS = {"sql": command}
