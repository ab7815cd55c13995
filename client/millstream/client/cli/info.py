"""``millstream info``: the plan of a script's job, without running the job."""

from __future__ import annotations

import contextlib
import sys

import click

from millstream.client.cli.exit_codes import ExitCode, exit_code_of
from millstream.client.cli.run import exit_status
from millstream.client.cli.script import run_script
from millstream.client.cli.settings import load_settings, output_option, settings_option
from millstream.client.cli.text_table import echo_json
from millstream.client.error_report import error_text, user_traceback
from millstream.client.plan import plan_json, plan_text
from millstream.client.session import Session, set_current_session, slots_needed
from millstream.client.submit import PlanCaptured, PlanSubmitter, set_submitter
from millstream.core.config import options
from millstream.core.errors import MillstreamError


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

    The script runs up to its first execute; no cluster is needed and no record is read. What the script prints goes to
    standard error.
    """
    configuration = load_settings(settings)
    local: dict[str, object] = {options.JOBMANAGER_RPC_ADDRESS.key: None}
    if parallelism is not None:
        local[options.PARALLELISM_DEFAULT.key] = parallelism
    set_current_session(Session(configuration.with_values(local, "millstream info")))
    set_submitter(PlanSubmitter())

    try:
        with contextlib.redirect_stdout(sys.stderr):
            run_script(script, arguments)
    except PlanCaptured as captured:
        slots = slots_needed(captured.graph)
        if output == "json":
            echo_json(plan_json(captured.graph, slots))
        else:
            click.echo(plan_text(captured.graph, slots))
        return ExitCode.OK
    except MillstreamError as error:
        click.echo(error_text(error), err=True)
        return exit_code_of(error)
    except SystemExit as error:
        if error.code:
            return exit_status(error)
    except Exception as error:
        click.echo(user_traceback(error), err=True, nl=False)
        return ExitCode.FAILED
    click.echo(f"error: {script} ended without submitting a job (no call of execute).", err=True)
    return ExitCode.FAILED


COMMANDS = {"info": command}
