"""Rules of the tree that nobody should have to remember."""

import ast
import filecmp
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("core", "connectors", "sql", "jobmanager", "taskmanager", "client")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")

CLOCK_ONLY = {
    "time.time": "take a Clock",
    "time.monotonic": "take a Clock",
    "time.perf_counter": "take a Clock",
    "time.sleep": "wait for a condition",
    "datetime.now": "take a Clock",
    "uuid.uuid4": "use secrets in a shell, or take the id as an argument",
    "random.random": "take a random.Random",
    "random.randint": "take a random.Random",
    "random.choice": "take a random.Random",
    "asyncio.sleep": "wait for an event with a deadline",
}
"""Banned calls with the replacement; ``core/clock.py`` implements the clock."""

DESERIALISERS = {"pickle.loads", "pickle.load", "marshal.loads", "shelve.open", "yaml.load", "eval", "exec"}


def product_files() -> Iterator[Path]:
    for component in COMPONENTS:
        for file in sorted((ROOT / component / "millstream").rglob("*.py")):
            if not GENERATED.search(file.name):
                yield file


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names of called functions with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name, node.lineno


def test_no_component_hides_the_others() -> None:
    strays = [str(path.relative_to(ROOT)) for path in ROOT.glob("*/millstream/__init__.py")]
    assert not strays, f"{strays} would hide the other roots of the namespace package; remove it"


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for file in product_files():
        text = file.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            long.append(f"{file.relative_to(ROOT)}: {lines} lines (at most {FILE_LINES_MAX})")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    long.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines")
    assert not long, "two nouns share a room:\n" + "\n".join(long)


def test_clocks_and_randomness_come_as_arguments() -> None:
    found = []
    for file in product_files():
        if file.name == "clock.py":
            continue
        for name, line in calls(ast.parse(file.read_text())):
            for banned, remedy in CLOCK_ONLY.items():
                if name == banned or name.endswith("." + banned):
                    found.append(f"{file.relative_to(ROOT)}:{line} calls {name}: {remedy}")
    assert not found, "\n".join(found)


def test_code_is_deserialised_in_known_places_only() -> None:
    allowed = {
        "core/millstream/core/serde": "the fallback for values without typed encoding, between authenticated peers",
        "client/millstream/testing": "the harness copies state in its own process",
    }
    found = []
    for file in product_files():
        relative = str(file.relative_to(ROOT))
        if any(relative.startswith(prefix) for prefix in allowed):
            continue
        for name, line in calls(ast.parse(file.read_text())):
            if name in DESERIALISERS:
                found.append(f"{relative}:{line} calls {name}")
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in product_files()
        if file.read_text().strip() and ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert not silent, f"no module docstring: {silent}"


def test_no_reminders_are_left() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|pragma: no cover")
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in product_files()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"reminders and stubs: {found}"


def test_tests_do_not_sleep() -> None:
    found = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        if file == Path(__file__).resolve():
            continue
        for name, line in calls(ast.parse(file.read_text())):
            if name in {"time.sleep", "sleep"}:
                found.append(f"{file.relative_to(ROOT)}:{line}")
    assert not found, f"tests that sleep instead of waiting for a condition: {found}"


def test_generated_protobuf_is_current(tmp_path: Path) -> None:
    installed = f"grpcio-tools=={version('grpcio-tools')}"
    assert f'"{installed}"' in (ROOT / "pyproject.toml").read_text(), (
        f"{installed} is not the version that pyproject.toml names: run scripts/setup dev,demo"
    )
    subprocess.run(
        [str(ROOT / "scripts" / "generate-proto"), str(tmp_path)],
        check=True,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    generated = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert generated
    for file in generated:
        committed = ROOT / "proto" / file.relative_to(tmp_path)
        assert committed.exists() and filecmp.cmp(file, committed, shallow=False), (
            f"{committed.relative_to(ROOT)} is not what the .proto files give; run scripts/generate-proto"
        )


def test_shell_scripts_are_executable() -> None:
    for script in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        if script.is_file() and script.suffix == "":
            assert script.stat().st_mode & 0o111, f"{script.relative_to(ROOT)} is not executable"
            text = script.read_text()
            if "bash" in text.splitlines()[0]:
                assert "set -euo pipefail" in text, f"{script.relative_to(ROOT)} goes on after errors"


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_the_usual_documents_exist(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_the_architecture_names_files_that_exist() -> None:
    roots = [
        "",
        "taskmanager/millstream/taskmanager/",
        "jobmanager/millstream/jobmanager/",
        "connectors/millstream/connectors/",
        "core/millstream/core/",
        "core/millstream/core/event_time/",
        "sql/millstream/sql/",
        "sql/millstream/sql/binder/",
        "sql/millstream/sql/session/",
        "sql/millstream/sql/optimizer/",
        "sql/millstream/sql/planner/",
        "taskmanager/millstream/taskmanager/operators/table/",
        "client/millstream/",
        "client/millstream/client/",
        "client/millstream/datastream/",
    ]
    named = re.findall(r"`([\w/.]+\.(?:py|proto))`", (ROOT / "ARCHITECTURE.md").read_text())
    assert named
    missing = [name for name in named if not any((ROOT / root / name).exists() for root in roots)]
    assert not missing
