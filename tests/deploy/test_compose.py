import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from captionary.serving.server import GRACE_SECONDS
from tests.deploy.dockerfile import Stage
from tests.deploy.tools import DEPLOY, SECRETS, run

FILES = ("compose.yaml", "compose.gpu.yaml")


@pytest.fixture(scope="module")
def resolved(filled: Path) -> dict[str, Any]:
    """What compose makes of the file, with all profiles."""
    words = ("-f", filled / "compose.yaml", "--profile", "*", "config", "--format", "json")
    found: dict[str, Any] = json.loads(run("docker-compose", *words))
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as written."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return dict(found["services"])


@pytest.mark.parametrize("name", FILES)
def test_the_specification_of_compose_is_kept(name: str) -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / name)


def test_compose_reads_both_files_together(filled: Path) -> None:
    files = [word for name in FILES for word in ("-f", filled / name)]
    merged = json.loads(run("docker-compose", *files, "config", "--format", "json"))
    for name in ("indexer", "segmenter"):
        service = merged["services"][name]
        assert service["build"]["args"] == {"COMPUTE": "cuda"}
        assert service["image"].endswith("-cuda")
        resources = service["deploy"]["resources"]
        assert resources["reservations"]["devices"][0]["driver"] == "nvidia"
        assert resources["limits"]["memory"]


def test_secrets_are_asked_for_and_have_no_defaults() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    example = (DEPLOY / "example.env").read_text(encoding="utf-8")
    for name in SECRETS:
        assert set(re.findall(rf"\$\{{{name}\b[^}}]*\}}", text)) == {
            f"${{{name}:?fill in deploy/.env}}"
        }
        assert re.search(rf"^{name}=$", example, re.MULTILINE)
    told = set(re.findall(r"\$\{(\w+)", text))
    assert told == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_nothing_runs_without_secrets(tmp_path: Path) -> None:
    alone = shutil.copy(DEPLOY / "compose.yaml", tmp_path)
    with pytest.raises(AssertionError, match=r"fill in deploy/\.env"):
        run("docker-compose", "-f", alone, "config", "-q")


def test_every_service_is_confined(resolved: dict[str, Any]) -> None:
    assert set(resolved["services"]) == {"qdrant", "indexer", "segmenter", "prometheus", "grafana"}
    for name, service in resolved["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+[\w-]*", service["image"]), name
        assert service["logging"]["options"]["max-size"], name


def test_only_this_machine_reaches_what_is_published(resolved: dict[str, Any]) -> None:
    published = {
        name: [(port["host_ip"], port["published"]) for port in service.get("ports", [])]
        for name, service in resolved["services"].items()
    }
    assert published.pop("qdrant") == []
    assert {host for ports in published.values() for host, _ in ports} == {"127.0.0.1"}
    numbers = [number for ports in published.values() for _, number in ports]
    assert len(set(numbers)) == len(numbers)
    assert resolved["networks"]["store"]["internal"] is True
    assert set(resolved["services"]["qdrant"]["networks"]) == {"store"}


def test_the_reader_has_no_key_to_write_the_store(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    stored = services["qdrant"]["environment"]
    reads = services["segmenter"]["environment"]["CAPTIONARY_QDRANT_API_KEY"]
    writes = services["indexer"]["environment"]["CAPTIONARY_QDRANT_API_KEY"]
    assert reads == stored["QDRANT__SERVICE__READ_ONLY_API_KEY"]
    assert writes == stored["QDRANT__SERVICE__API_KEY"]


def test_the_two_services_know_of_each_other(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    for name, other, variable in (
        ("indexer", "segmenter", "CAPTIONARY_ORIGINS"),
        ("segmenter", "indexer", "CAPTIONARY_INDEXER_URL"),
    ):
        [port] = services[other]["ports"]
        url = services[name]["environment"][variable]
        assert url == f"http://localhost:{port['published']}"
    assert services["indexer"]["deploy"]["replicas"] == 1


@pytest.mark.parametrize("name", ["indexer", "segmenter"])
def test_compose_and_image_agree(
    resolved: dict[str, Any], images: dict[str, Stage], name: str
) -> None:
    service, image = resolved["services"][name], images[name]
    assert service["build"]["target"] == name
    assert [str(port["target"]) for port in service["ports"]] == [image.port]
    assert f":{image.port}/readyz" in service["healthcheck"]["test"][-1]
    mounted = {volume["target"] for volume in service["volumes"]}
    assert mounted <= set(image.volumes)
    assert "/var/cache/captionary" in mounted
    assert service["depends_on"]["qdrant"]["condition"] == "service_healthy"
    assert float(service["stop_grace_period"].rstrip("s")) > GRACE_SECONDS
    store = image.command[image.command.index("--store") + 1]
    assert store.startswith("http://qdrant:6333/")


def test_what_is_mounted_from_the_repository_is_there(resolved: dict[str, Any]) -> None:
    bound = [
        volume
        for service in resolved["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert len(bound) == 4
    for volume in bound:
        assert Path(volume["source"]).exists()
        assert volume["read_only"] is True


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server whose /readyz has this status, as Qdrant's; its port."""

    class Readiness(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Readiness) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_qdrants_health_check_works_in_a_bare_bash(
    services: dict[str, Any], status: int, code: int
) -> None:
    marker, *command = services["qdrant"]["healthcheck"]["test"]
    assert marker == "CMD"
    with answering(status) as port:
        # As compose hands it over: $$ stands for one $.
        script = command[-1].replace("$$", "$").replace("6333", str(port))
        done = subprocess.run([*command[:-1], script], env={"PATH": ""}, executable="/bin/bash")
    assert done.returncode == code


def test_qdrants_health_check_fails_where_nothing_listens(services: dict[str, Any]) -> None:
    with answering(200) as port:
        pass
    script = services["qdrant"]["healthcheck"]["test"][-1].replace("6333", str(port))
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True)
    assert done.returncode != 0
