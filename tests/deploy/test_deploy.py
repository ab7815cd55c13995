"""docker-compose and what it mounts. No Docker engine is needed: the very commands of its services run as processes."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OVERLAY = yaml.safe_load((ROOT / "deploy" / "high-availability.yml").read_text())
SERVERS = ("jobmanager", "taskmanager-1", "taskmanager-2")

SERVICE_SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "required": ["context", "dockerfile"],
            "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
            "additionalProperties": False,
        },
        "command": {"type": "array", "items": {"type": "string"}},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:[^:]+(:ro)?$"}},
        "secrets": {"type": "array", "items": {"type": "string"}},
        "depends_on": {"type": "array", "items": {"type": "string"}},
        "hostname": {"type": "string"},
        "user": {"type": "string"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
    },
    "additionalProperties": False,
}
"""The part of the Compose Specification that this project uses; published ports are on loopback only."""
SCHEMA = {
    "type": "object",
    "required": ["services"],
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE_SCHEMA},
        "secrets": {"type": "object"},
        "volumes": {"type": "object"},
    },
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}


def merged() -> dict[str, Any]:
    """What ``docker compose -f docker-compose.yml -f deploy/high-availability.yml`` has."""
    services = {name: dict(service) for name, service in COMPOSE["services"].items()}
    for name, service in OVERLAY["services"].items():
        before = services.get(name, {})
        environment = before.get("environment", {}) | service.get("environment", {})
        depends_on = [*before.get("depends_on", []), *service.get("depends_on", [])]
        services[name] = before | service | {"environment": environment, "depends_on": depends_on}
    return COMPOSE | {"services": services, "volumes": COMPOSE["volumes"] | OVERLAY["volumes"]}


@pytest.mark.parametrize("compose", [COMPOSE, merged()], ids=["plain", "high-availability"])
def test_compose_file_fits_the_specification(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, SCHEMA)
    for name, service in compose["services"].items():
        for other in service.get("depends_on", []):
            assert other in compose["services"], f"{name} depends on {other}"
        for secret in service.get("secrets", []):
            assert secret in compose["secrets"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert exists, f"{name} mounts {source}"
        if "build" in service:
            assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_settings_of_the_services_exist() -> None:
    from millstream.core.config.options import OPTIONS

    known = {option.environment_variable for option in OPTIONS.values()}
    services = merged()["services"]
    for name in (*SERVERS, "jobmanager-2"):
        unknown = set(services[name]["environment"]) - known
        assert not unknown, f"{name} sets {unknown}"


def test_with_an_election_each_server_has_its_settings_and_each_jobmanager_its_name() -> None:
    from millstream.core.config import load
    from millstream.core.ha.settings import has_election, job_store_location

    services = merged()["services"]
    for name in (*SERVERS, "jobmanager-2"):
        configuration = load(environ=services[name]["environment"])
        assert has_election(configuration)
        assert job_store_location(configuration) == "/data/high-availability/default"
        if name.startswith("jobmanager"):
            assert configuration.text("jobmanager.rpc.address") == name


def test_the_image_copies_every_component() -> None:
    dockerfile = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    assert copied == {"proto", "core", "connectors", "jobmanager", "taskmanager", "client", "sql"}


def test_prometheus_scrapes_every_server_where_it_listens() -> None:
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = {t for job in scrape["scrape_configs"] for c in job["static_configs"] for t in c["targets"]}
    expected = set()
    for name in SERVERS:
        environment = COMPOSE["services"][name]["environment"]
        port = (
            environment.get("MILLSTREAM_METRICS_JOBMANAGER_PORT") or environment["MILLSTREAM_METRICS_TASKMANAGER_PORT"]
        )
        expected.add(f"{name}:{port}")
        assert environment["MILLSTREAM_METRICS_BIND_HOST"] == "0.0.0.0"
    assert targets == expected


def test_the_dashboard_shows_documented_metrics() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "millstream.json").read_text())
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    documented = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for name in set(re.findall(r"millstream_\w+", expressions)):
        short = "…" + name.removeprefix("millstream_task_").removeprefix("millstream_operator_")
        assert name in documented or short in documented, f"{name} is not documented"
    for provisioned in (ROOT / "deploy" / "grafana" / "provisioning").rglob("*.yml"):
        assert yaml.safe_load(provisioned.read_text())["apiVersion"] == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(service: dict[str, Any], changes: dict[str, str], home: Path) -> subprocess.Popen[str]:
    """The command of a service with its environment, hosts and ports changed to this machine's loopback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    environment |= service["environment"] | changes | {"HOME": str(home)}
    command = [str(Path(sys.executable).with_name("millstream")), *service["command"]]
    return subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    secret.chmod(0o600)
    common = {
        "MILLSTREAM_SECURITY_SECRET_FILE": str(secret),
        "MILLSTREAM_JOBMANAGER_RPC_ADDRESS": "127.0.0.1",
        "MILLSTREAM_JOBMANAGER_RPC_PORT": str(free_port()),
        "MILLSTREAM_METRICS_BIND_HOST": "127.0.0.1",
    }
    metrics = {name: free_port() for name in SERVERS}
    own = {
        "jobmanager": {
            "MILLSTREAM_JOBMANAGER_BIND_HOST": "127.0.0.1",
            "MILLSTREAM_METRICS_JOBMANAGER_PORT": str(metrics["jobmanager"]),
        }
    }
    for name in SERVERS[1:]:
        own[name] = {
            "MILLSTREAM_TASKMANAGER_BIND_HOST": "127.0.0.1",
            "MILLSTREAM_TASKMANAGER_HOST": "127.0.0.1",
            "MILLSTREAM_METRICS_TASKMANAGER_PORT": str(metrics[name]),
        }
    processes = [started(COMPOSE["services"][name], common | own[name], tmp_path) for name in SERVERS]
    drains = [threading.Thread(target=lambda p=p: p.stderr.read(), daemon=True) for p in processes]
    for drain in drains:
        drain.start()
    try:
        yield common | {"HOME": str(tmp_path)} | {name: str(port) for name, port in metrics.items()}
    finally:
        for process in reversed(processes):
            process.terminate()
        for process, drain in zip(processes, drains, strict=True):
            process.wait(30)
            drain.join(30)
            process.stderr.close()  # type: ignore[union-attr]


@pytest.mark.integration
def test_the_services_form_a_cluster_that_runs_a_job(cluster: dict[str, str], tmp_path: Path) -> None:
    settings = {name: value for name, value in cluster.items() if name.startswith("MILLSTREAM_JOB") or "SECRET" in name}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    environment |= settings | {"HOME": str(tmp_path)}
    script = tmp_path / "job.py"
    script.write_text(
        "from millstream.datastream import StreamExecutionEnvironment\n"
        "env = StreamExecutionEnvironment.get_execution_environment()\n"
        "env.set_parallelism(4)\n"
        "with env.from_sequence(1, 1000).key_by(lambda n: n % 7).reduce(lambda a, b: a + b)"
        ".execute_and_collect() as results:\n"
        "    print('largest', max(results))\n"
    )
    address = f"127.0.0.1:{cluster['MILLSTREAM_JOBMANAGER_RPC_PORT']}"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("millstream")), "run", "--jobmanager", address, str(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert f"largest {max(sum(range(1, 1001)[k::7]) for k in range(7))}" in done.stdout
    for name in SERVERS:
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster[name]}/metrics", timeout=10) as response:
            assert "millstream_slots_total" in response.read().decode()
