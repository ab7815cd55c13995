"""``millstream run``: run a script; its jobs go to an embedded cluster, or to the one that is configured."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext

import click

from millstream.client.cli.exit_codes import ExitCode, exit_code_of
from millstream.client.cli.recovery import recovery_options, with_recovery
from millstream.client.cli.script import run_script
from millstream.client.cli.settings import (
    STARTED_CLUSTER_ORIGIN,
    jobmanager_option,
    load_settings,
    settings_option,
    with_started_cluster,
)
from millstream.client.error_report import error_text, user_traceback
from millstream.client.session import Session, set_current_session
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, options
from millstream.core.errors import MillstreamError
from millstream.core.ha.settings import addresses, names_jobmanager

CANCEL_TIMEOUT_S = 15.0


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--local", is_flag=True, help="Use an embedded cluster, whatever is configured.")
@jobmanager_option
@click.option("-p", "--parallelism", type=click.IntRange(1, 32768), help="Parallelism of operators that set none.")
@click.option("-d", "--detached", is_flag=True, help="Submit and return; the job goes on in the cluster.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@recovery_options
@settings_option
@click.argument("script", type=click.Path(exists=True))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(
    local: bool,
    jobmanager: str | None,
    parallelism: int | None,
    detached: bool,
    quiet: bool,
    from_savepoint: str | None,
    claim: bool | None,
    allow_non_restored_state: bool,
    settings: tuple[str, ...],
    script: str,
    arguments: tuple[str, ...],
) -> int:
    """Run SCRIPT with ARGS, like python does.

    Its jobs run on the JobManager given by --jobmanager or by the setting jobmanager.rpc.address, else on the cluster
    that 'millstream cluster start' started, else on an embedded cluster that ends with the script.

    Local modules that the script imports are shipped with its jobs. Ctrl-C cancels them.
    """
    if local and jobmanager:
        raise click.UsageError("--local and --jobmanager exclude each other.")
    configuration = choose_cluster(load_settings(settings, jobmanager), local)
    if parallelism is not None:
        configuration = configuration.with_values({options.PARALLELISM_DEFAULT.key: parallelism}, "-p")
    configuration = with_recovery(configuration, from_savepoint, claim, allow_non_restored_state)
    if detached and not names_jobmanager(configuration):
        raise click.UsageError(
            "--detached needs a cluster that outlives this command: start one with 'millstream cluster start', "
            "or give its address with --jobmanager HOST:PORT."
        )
    if configuration.origin(options.JOBMANAGER_RPC_ADDRESS.key) == STARTED_CLUSTER_ORIGIN and not quiet:
        _say(f"Using the cluster at {','.join(addresses(configuration))} (--local: an embedded one).")
    session = open_session(configuration, detached=detached, quiet=quiet)
    set_current_session(session)
    try:
        return run_in_session(session, script, arguments, detached=detached, quiet=quiet)
    finally:
        session.close()


def choose_cluster(configuration: Configuration, local: bool) -> Configuration:
    """``--local`` wins over settings; without settings a started cluster is used if there is one."""
    if local:
        local_settings = {options.JOBMANAGER_RPC_ADDRESS.key: None, options.HA_TYPE.key: "NONE"}
        return configuration.with_values(local_settings, "--local")
    return with_started_cluster(configuration)


def open_session(configuration: Configuration, *, detached: bool, quiet: bool) -> Session:
    """Progress is a live table on a terminal, lines elsewhere, nothing if ``quiet``."""
    from millstream.client.progress import LineProgress, LiveProgress, OutputPump

    clock = SystemClock()
    if quiet:
        return Session(configuration, detached=detached, show_progress=nullcontext, warn=_say)
    if not sys.stderr.isatty():
        lines = LineProgress(clock, sys.stderr)
        return Session(configuration, detached=detached, show_progress=lines.show, warn=_say)
    pump = OutputPump() if not names_jobmanager(configuration) and sys.stdout.isatty() else None
    live = LiveProgress(clock, pump)
    stdout = pump.write_end if pump else None
    return Session(configuration, detached=detached, show_progress=live.show, warn=_say, task_stdout=stdout)


def run_in_session(session: Session, script: str, arguments: tuple[str, ...], *, detached: bool, quiet: bool) -> int:
    """Run the script and see its jobs off; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as tidily as by Ctrl-C
    try:
        session.start_cluster()
        run_script(script, arguments)
        if detached:
            for job in session.jobs:
                click.echo(f"Submitted job {job.name!r}: {job.job_id}")
        elif session.is_embedded:
            for job in session.jobs:
                if not job.has_ended:
                    job.wait()  # submitted by execute_async; the embedded cluster must not end before it
    except KeyboardInterrupt:
        cancel_jobs(session, detached=detached)
        return ExitCode.INTERRUPTED
    except MillstreamError as error:
        click.echo(error_text(error), err=True)
        return exit_code_of(error)
    except SystemExit as error:
        return exit_status(error)
    except BaseException as error:
        click.echo(user_traceback(error), err=True, nl=False)
        return ExitCode.FAILED
    return ExitCode.OK


def cancel_jobs(session: Session, *, detached: bool) -> None:
    """Cancel what this run waits for, and wait until it has stopped; a second Ctrl-C stops waiting."""
    if detached:
        return
    for job in session.jobs:
        if job.has_ended:
            continue
        try:
            _say(f"Cancelling job {job.name!r} ({job.job_id}) ...")
            job.cancel()
            if job.wait_until_ended([], CANCEL_TIMEOUT_S) is None:
                _say(f"Job {job.job_id} has not stopped after {CANCEL_TIMEOUT_S:.0f} s; it is still being cancelled.")
        except (MillstreamError, KeyboardInterrupt) as error:
            _say(str(error) or "Interrupted again; not waiting for the job to stop.")
            return


def exit_status(error: SystemExit) -> int:
    """What Python would make of ``sys.exit(x)``."""
    if error.code is None:
        return ExitCode.OK
    if isinstance(error.code, int):
        return error.code
    click.echo(str(error.code), err=True)
    return ExitCode.FAILED


def _say(text: str) -> None:
    click.echo(text, err=True)


COMMANDS = {"run": command}
