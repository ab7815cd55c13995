"""Which files are shipped: local ones, under the names they are imported by, and nothing that is installed."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from millstream.client.translation import modules
from millstream.client.translation.modules import ModuleArchive, imported_names
from millstream.core.errors import ConfigError


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def module(name: str, file: Path | None) -> ModuleType:
    made = ModuleType(name)
    made.__file__ = None if file is None else str(file)
    return made


def archive(
    root: Path, loaded: dict[str, str], *, path: list[str] | None = None, script: str | None = None
) -> ModuleArchive:
    made = {name: module(name, root / file) for name, file in loaded.items()}
    entries = [str(root / entry) for entry in path or ["."]]
    return ModuleArchive(made, [root], entries, root / script if script else None)


def names(made: ModuleArchive) -> list[str]:
    data = made.zipped()
    return sorted(zipfile.ZipFile(io.BytesIO(data)).namelist()) if data else []


def test_imported_modules_lie_where_their_names_say(tmp_path: Path) -> None:
    write(tmp_path, {"helper.py": "", "src/deep.py": "", "spaces/of/names.py": "", "unused.py": ""})
    loaded = {"helper": "helper.py", "deep": "src/deep.py", "spaces.of.names": "spaces/of/names.py"}
    made = archive(tmp_path, loaded, path=[".", "src"])
    assert names(made) == ["deep.py", "helper.py", "spaces/of/names.py"]
    assert made.not_importable == []
    assert len(made.modules) == 3


def test_a_package_travels_whole_with_its_small_data(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/lazy.py": "",
            "shop/deep/__init__.py": "",
            "shop/rates.json": "{}",
            "shop/__pycache__/x.py": "",
            "shop/.hidden": "",
            "shop/large.bin": "x" * (modules.DATA_FILE_BYTES_MAX + 1),
        },
    )
    made = archive(tmp_path, {"shop.deep": "shop/deep/__init__.py"})
    assert names(made) == ["shop/__init__.py", "shop/deep/__init__.py", "shop/lazy.py", "shop/rates.json"]


def test_modules_that_functions_import_when_they_run_travel_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "job.py": "def f(x):\n    import late\n    from parts.wheel import spin\n    import json, numpy\n",
            "late.py": "def g():\n    import later\n",
            "later.py": "",
            "parts/__init__.py": "",
            "parts/wheel.py": "",
        },
    )
    made = archive(tmp_path, {}, script="job.py")
    assert names(made) == [
        "late.py",
        "later.py",
        "parts/__init__.py",
        "parts/wheel.py",
    ]


def test_what_is_installed_or_elsewhere_stays(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(root, {"lib/site-packages/thing.py": "", "venv/other.py": "", "json.py": ""})
    write(tmp_path, {"outside.py": ""})
    loaded = {
        "thing": "lib/site-packages/thing.py",
        "other": "venv/other.py",
        "outside": "../outside.py",
        "millstream.core.errors": "millstream/core/errors.py",
    }
    made = archive(root, loaded, path=[".", "lib/site-packages", ".."])
    assert (names(made), made.modules) == ([], [])


def test_a_module_that_its_name_does_not_lead_to_travels_by_value(tmp_path: Path) -> None:
    write(tmp_path, {"tests/test_job.py": "", "tests/helper.py": ""})
    made = archive(tmp_path, {"test_job": "tests/test_job.py", "helper": "tests/helper.py"}, path=["."])
    assert [found.__name__ for found in made.not_importable] == ["helper", "test_job"]
    assert names(made) == []


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1", "b.py": "y = 2"})
    first = archive(tmp_path, {"a": "a.py", "b": "b.py"}).zipped()
    (tmp_path / "a.py").touch()
    assert archive(tmp_path, {"b": "b.py", "a": "a.py"}).zipped() == first


def test_too_much_is_refused_with_the_largest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"big.py": "#" * 2000, "small.py": ""})
    monkeypatch.setattr(modules, "ARCHIVE_BYTES_MAX", 1000)
    with pytest.raises(ConfigError, match=r"big\.py \(2,000 bytes\)"):
        archive(tmp_path, {"big": "big.py", "small": "small.py"}).zipped()


def test_imported_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"m.py": "import a.b, c as d\nfrom e.f import g, h\nfrom . import i\nfrom j import *\n", "bad.py": "("},
    )
    assert imported_names(tmp_path / "m.py") == {"a.b", "c", "e.f", "e.f.g", "e.f.h", "j"}
    assert imported_names(tmp_path / "bad.py") == set()


def test_this_process_does_not_ship_millstream_or_installed_packages() -> None:
    made = ModuleArchive.of_this_process()
    shipped = {found.__name__.split(".")[0] for found in made.modules}
    assert not shipped & {"millstream", "pytest", "numpy", "cloudpickle", *sys.stdlib_module_names}
