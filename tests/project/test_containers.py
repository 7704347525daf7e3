"""The container files agree with each other and with the settings; deploy/prove-containers.sh proves the rest."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from paths import ROOT

from service.settings import Settings

IMAGES = ["api", "worker"]
NOT_DEFAULTS = {
    "CUDA_VISIBLE_DEVICES",
    "COMPOSE_FILE",
    "STYLIZE_CHECKPOINTS",
    "STYLIZE_API_KEYS",
    "STYLIZE_CORS_ORIGINS",
    "STYLIZE_ALLOWED_HOSTS",
}


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's merge tag."""


ComposeLoader.add_constructor("!reset", lambda loader, node: "reset")


def read_compose(name: str) -> dict:
    return yaml.load((ROOT / name).read_text(), ComposeLoader)


def read_stages() -> dict[str, list[str]]:
    """Stage name → its instructions, ``FROM`` first, one line each, as in the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    blocks = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    stages = [[line.strip() for line in block.splitlines() if line.strip()] for block in blocks]
    return {stage[0].split(" AS ")[1]: stage for stage in stages}


def lineage(stages: dict[str, list[str]], name: str) -> list[str]:
    """The instructions that make an image's own configuration: its stage's and those of the stages it starts from."""
    parent = stages[name][0].split()[1]
    return (lineage(stages, parent) if parent in stages else []) + stages[name]


def reached(stages: dict[str, list[str]], name: str) -> set[str]:
    """Every stage whose files can come into the image."""
    text = "\n".join(stages[name])
    sources = re.findall(r"^FROM (\S+) AS|COPY --from=(\S+)", text, flags=re.MULTILINE)
    parents = {found for pair in sources for found in pair if found in stages}
    return {name}.union(*(reached(stages, parent) for parent in parents))


def read_examples() -> dict[str, str]:
    pairs = re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    return read_stages()


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return read_compose("docker-compose.yml")["services"]


def test_the_api_image_gets_no_torch(stages):
    assert "torch" not in reached(stages, "api")
    assert "torch" in reached(stages, "worker")
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not [line for line in dependencies if re.match(r"(torch|numpy|safetensors|stylize-server)\b", line)]


def test_code_comes_in_after_torch(stages):
    copies = [line for line in stages["worker"] if line.startswith("COPY")]
    assert [re.search(r"--from=(\S+)", line)[1] for line in copies] == ["torch", "api-dependencies", "package"]
    assert "package" not in reached(stages, "torch")


@pytest.mark.parametrize("image", IMAGES)
def test_images_are_neither_root_nor_without_health_check(stages, image):
    instructions = lineage(stages, image)
    user = [line.split()[1] for line in instructions if line.startswith("USER ")][-1]
    assert user.partition(":")[0].isdecimal() and user.partition(":")[0] != "0"
    assert [line for line in instructions if line.startswith("HEALTHCHECK ")]
    assert f'CMD ["{image}"]' in instructions


def test_every_base_is_the_one_pinned_base(stages):
    assert {stage[0].split()[1] for stage in stages.values()} - set(stages) == {"debian:bookworm-slim"}


def test_what_the_build_copies_is_there_and_not_ignored(stages):
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = [line for stage in stages.values() for line in stage if line.startswith("COPY ") and "--from=" not in line]
    copied = {source for line in lines for source in line.split()[1:-1]}
    assert copied == kept
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.processes
@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
def test_the_apis_health_check_tells_a_live_api_from_another(stages, status, exit_code):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    line = next(line for line in stages["api"] if line.startswith("HEALTHCHECK "))
    command = json.loads(line.partition(" CMD ")[2])
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {"STYLIZE_PORT": str(server.server_port), "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run([sys.executable, *command[1:]], env=environment, timeout=20)
        server.shutdown()
    assert done.returncode == exit_code


def test_compose_builds_the_targets(services, stages):
    assert {services[image]["build"]["target"] for image in IMAGES} == set(IMAGES) <= set(stages)


def test_containers_run_with_as_little_as_they_need(services):
    for name, service in services.items():
        assert service["read_only"] and service["init"] and service["restart"] == "unless-stopped", name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert {"cpus", "memory", "pids"} == set(service["deploy"]["resources"]["limits"]), name


def test_redis_keeps_what_it_accepted(services):
    redis = services["redis"]
    for argument in ("--maxmemory-policy noeviction", "--appendonly yes", "--appendfsync everysec", "--maxmemory "):
        assert argument in redis["command"]
    assert redis["volumes"] == ["redis:/data"]
    assert re.fullmatch(r"redis:\d+", redis["image"])


def test_the_queue_is_not_reachable_from_outside(services):
    assert [name for name, service in services.items() if "ports" in service] == ["api"]
    assert services["redis"]["networks"] == ["queue"] == services["worker"]["networks"]
    assert read_compose("docker-compose.yml")["networks"]["queue"] == {"internal": True}


def test_start_waits_for_a_healthy_redis(services):
    assert services["redis"]["healthcheck"]
    for image in IMAGES:
        assert services[image]["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_stopping_leaves_time_to_drain(services):
    defaults = Settings.model_fields
    assert seconds(services["api"]["stop_grace_period"]) > defaults["request_timeout_s"].default
    assert seconds(services["worker"]["stop_grace_period"]) > defaults["drain_timeout_s"].default


def test_the_worker_reserves_a_gpu_unless_overridden(services):
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    worker = read_compose("docker-compose.cpu.yml")["services"]["worker"]
    assert worker["deploy"]["resources"]["reservations"] == "reset"
    assert worker["environment"] == {"STYLIZE_DEVICE": "cpu"}


@pytest.mark.parametrize("image", IMAGES)
def test_what_compose_sets_is_a_setting(services, image):
    fields = {f"STYLIZE_{name.upper()}" for name in Settings.model_fields}
    assert set(services[image]["environment"]) <= fields


def test_the_example_environment_shows_the_defaults():
    for name, value in read_examples().items():
        if name.startswith("STYLIZE_"):
            field = name.removeprefix("STYLIZE_").lower()
            assert field in Settings.model_fields, name
            default = Settings.model_fields[field].default
            assert name in NOT_DEFAULTS or getattr(Settings(**{field: value}), field) == default, name


def test_the_example_environment_names_what_compose_reads():
    read = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", (ROOT / "docker-compose.yml").read_text()))
    examples = read_examples()
    for name, default in read.items():
        assert name in NOT_DEFAULTS or examples[name] == default, name
    assert set(read) <= set(examples)
    assert {name for name in examples if not name.startswith("STYLIZE_")} - set(read) == {
        "COMPOSE_FILE",
        "CUDA_VISIBLE_DEVICES",
    }
