"""In each process of a cluster under test, before anything else: failpoints and addresses as the test wants them.

The directory of this file is in ``PYTHONPATH`` while such a cluster runs. ``CHAOS_FAILPOINTS`` says what to arm; behind
the Unix socket ``CHAOS_LINKS``, a proxy tells servers their addresses (``links.py``).
This hides the module of the same name that plants bugs, so it runs that, too.
"""

import json
import os
import runpy
import socket
import sys
from pathlib import Path

if "BUGBANK" in os.environ:
    runpy.run_path(str(Path(__file__).parents[2] / "bugbank" / "planted" / "sitecustomize.py"))


def _ask_for_addresses(path: str, server: str) -> None:
    """Put them into the environment, where the server reads its settings."""
    said = {
        "role": server,
        "pid": os.getpid(),
        "port": os.environ.get("MILLSTREAM_JOBMANAGER_RPC_PORT"),
        "elects": os.environ.get("MILLSTREAM_HIGH_AVAILABILITY_TYPE", '"NONE"').strip('"') != "NONE",
        "slots": os.environ.get("MILLSTREAM_TASKMANAGER_NUMBEROFTASKSLOTS"),
    }
    with socket.socket(socket.AF_UNIX) as link, link.makefile("rw") as stream:
        link.connect(path)
        stream.write(json.dumps(said) + "\n")
        stream.flush()
        os.environ.update(json.loads(stream.readline()))


for _server in ("jobmanager", "taskmanager"):
    if f"millstream.{_server}" in sys.orig_argv and "CHAOS_LINKS" in os.environ:
        _ask_for_addresses(os.environ["CHAOS_LINKS"], _server)

if "CHAOS_FAILPOINTS" in os.environ:
    from millstream.core.failpoints import arm

    arm(os.environ["CHAOS_FAILPOINTS"])
