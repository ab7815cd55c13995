"""Layers of settings, their provenance, and what is refused."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from millstream.core.config import Configuration, find_file, load, options
from millstream.core.config.loading import DEFAULT_FILE
from millstream.core.config.options import OPTIONS, Option
from millstream.core.config.reference import read_descriptions, render_reference
from millstream.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_every_option_has_a_default_and_a_description() -> None:
    described = read_descriptions(DEFAULT_FILE.read_text())
    assert set(described) == set(OPTIONS) == set(load())
    assert not [key for key, (section, text) in described.items() if not section or not text.endswith(".")]


def test_no_two_options_share_an_environment_variable() -> None:
    assert len({option.environment_variable for option in OPTIONS.values()}) == len(OPTIONS)


def test_values_have_python_types() -> None:
    configuration = load()
    assert configuration[options.HEARTBEAT_INTERVAL] == timedelta(seconds=2)
    assert configuration[options.TASKMANAGER_SEGMENT_SIZE] == 131072
    assert configuration[options.JOBMANAGER_RPC_ADDRESS] is None
    assert configuration[options.PIPELINE_GENERIC_TYPES] is True


def test_a_later_layer_wins_and_each_value_knows_its_own(tmp_path: Path) -> None:
    file = write(tmp_path / "millstream.toml", "[heartbeat]\ninterval = '3 s'\ntimeout = '30 s'\n")
    environ = {"MILLSTREAM_HEARTBEAT_TIMEOUT": "40 s", "HOME": "/nowhere"}
    configuration = load(file, environ, {"parallelism.default": "7"})
    assert configuration[options.HEARTBEAT_INTERVAL] == timedelta(seconds=3)
    assert configuration[options.HEARTBEAT_TIMEOUT] == timedelta(seconds=40)
    assert configuration[options.PARALLELISM_DEFAULT] == 7
    assert configuration.origin("heartbeat.interval") == f"{file}, line 2"
    assert configuration.origin("heartbeat.timeout") == "environment variable MILLSTREAM_HEARTBEAT_TIMEOUT"
    assert configuration.origin("parallelism.default") == "-D on the command line"
    assert configuration.origin("jobmanager.rpc.port") == "default"
    assert load(file, environ, {"heartbeat.timeout": "50 s"})[options.HEARTBEAT_TIMEOUT] == timedelta(seconds=50)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("heartbeat.intervall", "heartbeat.interval"),
        ("taskmanager.number-of-task-slots", "taskmanager.numberOfTaskSlots"),
        ("jobmanager.port", "jobmanager.rpc.port"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name_and_its_place(tmp_path: Path, key: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown setting '{key}' .-D on the command line.*'{near}'"):
        load(overrides={key: "1"})
    file = write(tmp_path / "millstream.toml", f"\n\n{key} = 1\n")
    with pytest.raises(ConfigError, match=f"millstream.toml, line 3.*'{near}'"):
        load(file)


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean MILLSTREAM_PARALLELISM_DEFAULT"):
        load(environ={"MILLSTREAM_PARALELISM_DEFAULT": "1"})


def test_a_key_like_nothing_gets_no_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides={"zzzzzz": "1"})
    assert "Did you mean" not in str(caught.value)


def test_a_bad_value_names_setting_place_and_expectation() -> None:
    with pytest.raises(ConfigError, match=r"'jobmanager.rpc.port' \(-D on the command line\).*0 to 65535, got '70000'"):
        load(overrides={"jobmanager.rpc.port": "70000"})


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the settings file .*none.toml: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(write(tmp_path / "broken.toml", "heartbeat.interval = = 3"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "binary.toml")


def test_the_settings_file_is_named_by_the_environment_or_lies_in_the_directory(tmp_path: Path) -> None:
    assert find_file({}, tmp_path) is None
    file = write(tmp_path / "millstream.toml", "")
    assert find_file({}, tmp_path) == file
    assert find_file({"MILLSTREAM_CONF_FILE": ""}, tmp_path) is None
    assert find_file({"MILLSTREAM_CONF_FILE": "/other.toml"}, tmp_path) == Path("/other.toml")


def test_a_child_process_gets_the_same_settings_through_its_environment() -> None:
    overrides = {
        "heartbeat.interval": "3 s",
        "io.tmp.dirs": "/x",
        "security.secret": "hush",
        "pipeline.global-job-parameters": "a:1",
        "taskmanager.memory.segment-size": "64 kb",
    }
    parent = load(overrides=overrides)
    child = load(environ=parent.as_environment())
    assert child.flatten() == parent.flatten()
    assert child[options.SECURITY_SECRET] == "hush"


def test_secrets_are_never_shown() -> None:
    configuration = load(overrides={"security.secret": "hush"})
    shown = repr(configuration) + configuration.text("security.secret") + json.dumps(configuration.flatten())
    assert "hush" not in shown
    with pytest.raises(ConfigError) as caught:
        configuration.with_values({"security.secret": 17}, "a test")
    assert "17" not in str(caught.value)


def test_tables_and_dotted_keys_are_the_same(tmp_path: Path) -> None:
    dotted = write(tmp_path / "a.toml", 'taskmanager.memory.network.size = "1 gb"\n')
    nested = write(tmp_path / "b.toml", '[taskmanager.memory]\nnetwork = { size = "1 gb" }\n')
    table = write(tmp_path / "c.toml", '[pipeline.global-job-parameters]\nname = "x"\nn = 3\n')
    assert load(dotted).flatten() == load(nested).flatten()
    assert load(table)[options.PIPELINE_GLOBAL_JOB_PARAMETERS] == {"name": "x", "n": "3"}


def test_with_values_changes_a_copy() -> None:
    configuration = load()
    changed = configuration.with_values({"heartbeat.interval": timedelta(seconds=9)}, "a test")
    assert isinstance(changed, Configuration)
    assert changed[options.HEARTBEAT_INTERVAL] == timedelta(seconds=9)
    assert configuration[options.HEARTBEAT_INTERVAL] == timedelta(seconds=2)
    assert not changed.is_default(options.HEARTBEAT_INTERVAL)
    assert configuration.is_default(options.HEARTBEAT_INTERVAL)


def test_the_reference_page_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert page == render_reference(), "run python -m millstream.core.config.reference docs/reference/configuration.md"


def test_every_option_is_a_named_constant() -> None:
    named = [value.key for value in vars(options).values() if isinstance(value, Option)]
    assert sorted(named) == sorted(OPTIONS)
