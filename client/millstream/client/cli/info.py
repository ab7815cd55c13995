"""``millstream info``: the plan of a script's job, without running the job."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millstream.client.cli.exit_codes import ExitCode, exit_code_of
from millstream.client.cli.run import exit_status
from millstream.client.cli.script import run_script
from millstream.client.cli.settings import load_settings, output_option, settings_option
from millstream.client.cli.text_table import echo_json
from millstream.client.error_report import error_text, user_traceback
from millstream.client.plan import plan_json, plan_text
from millstream.client.session import Session, current_session, set_current_session, slots_needed
from millstream.client.submit import PlanCaptured, PlanSubmitter, set_submitter
from millstream.core.config import options
from millstream.core.errors import MillstreamError

if TYPE_CHECKING:
    from millstream.proto.v1.job_graph_pb2 import JobGraph


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-p", "--parallelism", type=click.IntRange(1, 32768), help="Parallelism of operators that set none.")
@output_option
@settings_option
@click.argument("script", type=click.Path(exists=True))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(
    parallelism: int | None, output: str, settings: tuple[str, ...], script: str, arguments: tuple[str, ...]
) -> int:
    """Show the plan of the first job that SCRIPT would run with ARGS.

    The script runs up to its first execute; no cluster is needed and no record is read. Of SQL (a file that ends with
    '.sql') the statements before the first query or INSERT are executed. What the script prints goes to standard error.
    """
    configuration = load_settings(settings)
    local: dict[str, object] = {options.JOBMANAGER_RPC_ADDRESS.key: None, options.HA_TYPE.key: "NONE"}
    if parallelism is not None:
        local[options.PARALLELISM_DEFAULT.key] = parallelism
    set_current_session(Session(configuration.with_values(local, "millstream info")))
    planned = planned_job(script, arguments)
    if isinstance(planned, int):
        return planned
    slots = slots_needed(planned)
    if output == "json":
        echo_json(plan_json(planned, slots))
    else:
        click.echo(plan_text(planned, slots))
    return ExitCode.OK


def planned_job(script: str, arguments: tuple[str, ...]) -> JobGraph | int:
    """The first job that a script of Python or SQL would run, which is not submitted; else an exit code, explained."""
    set_submitter(PlanSubmitter())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if script.endswith(".sql"):
                _execute_sql(script)
            else:
                run_script(script, arguments)
    except PlanCaptured as captured:
        return captured.graph
    except MillstreamError as error:
        click.echo(error_text(error), err=True)
        return exit_code_of(error)
    except SystemExit as error:
        if error.code:
            return exit_status(error)
    except Exception as error:
        click.echo(user_traceback(error), err=True, nl=False)
        return ExitCode.FAILED
    finally:
        set_submitter(None)
    click.echo(f"error: {script} ended without submitting a job.", err=True)
    return ExitCode.FAILED


def _execute_sql(script: str) -> None:
    from millstream.client.queries.runner import ClusterRunner
    from millstream.client.sql_shell.script_run import run_script as run_statements
    from millstream.sql.session.sql_session import SqlSession

    sys.path.insert(0, str(Path.cwd()))  # as 'millstream sql' has it
    session = SqlSession(current_session().configuration, runner=ClusterRunner())
    run_statements(session, script, Path(script).read_text("utf-8"), write=click.echo, say=click.echo)


COMMANDS = {"info": command}
