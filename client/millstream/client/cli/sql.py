"""``millstream sql``: SQL in a shell, from a file, or from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.run import cancel_jobs, open_session
from millstream.client.cli.settings import jobmanager_option, load_settings, settings_option, with_started_cluster
from millstream.client.session import set_current_session
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, options

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
@settings_option
def command(
    file: str | None,
    texts: tuple[str, ...],
    init: str | None,
    jars: tuple[str, ...],
    local: bool,
    jobmanager: str | None,
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
    configuration = load_settings(settings, jobmanager)
    if local:
        configuration = configuration.with_values({options.JOBMANAGER_RPC_ADDRESS.key: None}, "--local")
    else:
        configuration = with_started_cluster(configuration)
    scripts = _scripts(file, texts)
    return _run(configuration, init, scripts)


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
    from millstream.client.sql_shell.script_run import ScriptFailure, run_script
    from millstream.sql.session.sql_session import SqlSession

    sys.path.insert(0, str(Path.cwd()))  # modules of Python functions lie beside the scripts, as with `python -m`
    cluster = open_session(configuration, detached=False, quiet=scripts is None)
    set_current_session(cluster)
    session = SqlSession(configuration, runner=ClusterRunner())
    begin = [(init, _read(init))] if init is not None else []
    try:
        for name, text in [*begin, *(scripts or [])]:
            run_script(session, name, text, write=click.echo, say=_say)
        if scripts is None:
            _shell(session)
    except ScriptFailure as failure:
        click.echo(f"error: {failure}", err=True)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        cancel_jobs(cluster, detached=False)
        return ExitCode.INTERRUPTED
    finally:
        set_current_session(None)
        cluster.close()
    return ExitCode.OK


def _shell(session: SqlSession) -> None:
    from millstream.client.sql_shell.prompt import Prompt
    from millstream.client.sql_shell.shell import Shell

    Shell(
        session,
        Prompt(session, HISTORY_FILE.expanduser()),
        click.echo,
        SystemClock(),
        click.clear,
    ).run()


def _say(text: str) -> None:
    click.echo(text, err=True)


COMMANDS = {"sql": command}
