"""The job of ``examples/flights.py`` over CSV files in a directory, for the benchmarks: ``SOURCE OUTPUT``."""

import runpy
import sys
from pathlib import Path

from millstream.datastream import StreamExecutionEnvironment

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights.py"


def main() -> None:
    source, output = sys.argv[1:3]
    env = StreamExecutionEnvironment.get_execution_environment()
    runpy.run_path(str(EXAMPLE))["build"](env, Path(source), Path(output))
    print(f"runtime_ms {env.execute('flights').get_net_runtime()}")


if __name__ == "__main__":
    main()
