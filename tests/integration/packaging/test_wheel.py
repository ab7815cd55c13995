"""The wheel, as a user gets it: built, installed into an empty environment, and used."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

JOB = """
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
env.from_collection([1, 2, 3]).map(lambda n: n + 1).print()
env.execute("smoke")
"""


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def test_the_wheel_runs_a_job_in_a_clean_environment(tmp_path: Path) -> None:
    run([sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)])
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "millstream/core/config/default.toml" in names
    assert "millstream/__init__.py" not in names
    assert all(f"millstream/{part}/py.typed" in names for part in ("core", "client", "datastream", "common"))
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)])
    script = tmp_path / "job.py"
    script.write_text(JOB)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MILLSTREAM"))}
    environment["HOME"] = str(tmp_path)
    command = str(home / "bin" / "millstream")
    assert run([command, "--version"], env=environment, cwd=tmp_path).strip()
    shown = run([command, "run", "--local", "-p", "1", str(script)], env=environment, cwd=tmp_path)
    assert [line for line in shown.splitlines() if line.isdigit()] == ["2", "3", "4"]
