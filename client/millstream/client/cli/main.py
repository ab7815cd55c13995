"""Entry point of ``millstream``: finds the command, imports only its module, turns errors into messages and exit codes.

``millstream --help`` must answer at once, so the table below holds each command's one-line help, and the module behind
it loads when the command runs or is asked for its own help.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module
from typing import Final

import click

from millstream.client.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from millstream.client.error_report import error_text
from millstream.core.errors import MillstreamError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("run", "Run a script on an embedded or a real cluster."),
    "sql": ("sql", "Execute SQL: in a shell, from a file, from the command line."),
    "info": ("info", "Show the plan of a script's job without running it."),
    "list": ("list_jobs", "List jobs."),
    "cancel": ("cancel", "Cancel a job."),
    "checkpoints": ("checkpoints", "Show the last checkpoints of a job."),
    "savepoint": ("savepoint", "Write a savepoint of a job."),
    "stop": ("savepoint", "Write a savepoint of a job and end the job."),
    "rescale": ("rescale", "Let a running job go on with another parallelism."),
    "cluster": ("cluster", "Start, stop or inspect a cluster on this machine."),
    "jobmanager": ("servers", "Run a JobManager in the foreground."),
    "taskmanager": ("servers", "Run a TaskManager in the foreground."),
    "config": ("config", "Show settings and where each comes from."),
    "warmup": ("warmup", "Compile ahead what SQL and columnar jobs need."),
    "secret": ("secret", "Create the secret that members of a cluster share."),
}
"""Name: (module in this package, one-line help). The module holds the click command in its own ``COMMANDS``."""


class LazyGroup(click.Group):
    """Imports a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"millstream.client.cli.{entry[0]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See 'millstream --help'."
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])


def _print_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"millstream {version('millstream')}")
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show version."
)
def cli() -> None:
    """Stateful computations over unbounded streams, for people who live in Python."""


def main() -> None:
    """Run the command line of this process and exit."""
    code = run_command(sys.argv[1:])
    if code == ExitCode.INTERRUPTED:
        # When the interrupt came inside the import of an extension module, CPython remembers it as unhandled and would
        # end the process by SIGINT although it was handled here, which hides the exit code.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run_command(arguments: list[str]) -> int:
    """The exit code. Errors are printed to standard error, in one message."""
    try:
        result = cli.main(arguments, prog_name="millstream", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except MillstreamError as error:
        click.echo(error_text(error), err=True)
        return exit_code_of(error)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; nothing more can be said
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


if __name__ == "__main__":
    main()
