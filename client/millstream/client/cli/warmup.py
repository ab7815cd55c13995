"""``millstream warmup``: compiles what jobs of SQL and columns need, so that no job waits for it."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def command(quiet: bool) -> None:
    """Compile the kernels of SQL and columnar operators, and keep them on disk.

    A kernel that is not on disk is compiled when a job first uses it, which takes up to a few seconds. Run this once
    after an installation, as the user that runs the cluster: machine code is kept beside the installed modules or,
    where those are read-only, in that user's cache. It is made for this machine's kind of processor.
    """
    from millstream.core.kernels.ahead import KernelSignature, compile_kernels

    shows = not quiet and sys.stderr.isatty()

    def started(signature: KernelSignature, number: int, count: int) -> None:
        if shows:
            click.echo(f"\r\033[K{number}/{count} {signature.function}", err=True, nl=False)

    count = compile_kernels(started)
    if shows:
        click.echo("\r\033[K", err=True, nl=False)
    if not quiet:
        click.echo(f"{count} kernels are compiled.")


COMMANDS = {"warmup": command}
