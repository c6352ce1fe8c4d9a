from pathlib import Path

import pytest
import yaml

from captionary.serving.server import GRACE_SECONDS
from tests.deploy.dockerfile import Stage
from tests.deploy.tools import DEPLOY, SECRETS, Document, documents, run

OURS = ("indexer", "segmenter")
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest in which a pod may sleep before it ends, and the newest known here."""


def named(resources: list[Document], kind: str, name: str) -> Document:
    [found] = [
        resource
        for resource in resources
        if (resource["kind"], resource["metadata"]["name"].split("-")[0]) == (kind, name)
    ]
    return found


def workloads(resources: list[Document]) -> dict[str, Document]:
    return {
        resource["metadata"]["name"]: resource
        for resource in resources
        if resource["kind"] in ("Deployment", "StatefulSet")
    }


def pod(workload: Document) -> Document:
    found: Document = workload["spec"]["template"]["spec"]
    return found


def container(workload: Document) -> Document:
    [found] = pod(workload)["containers"]
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes_are_kept(
    overlay: list[Document], version: str, tmp_path: Path
) -> None:
    applied = tmp_path / "applied.yaml"
    applied.write_text(yaml.safe_dump_all(overlay), encoding="utf-8")
    run("kubernetes-validate", "--strict", "--kubernetes-version", version, applied)


def test_all_files_are_used_and_all_used_files_are_there(filled: Path) -> None:
    folder = filled / "kubernetes"
    used: set[Path] = set()
    for path in folder.rglob("kustomization.yaml"):
        used.add(path)
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in said.get("resources", []) + [p["path"] for p in said.get("patches", [])]:
            assert (path.parent / name).exists(), name
            used.add((path.parent / name).resolve())
    assert set(folder.rglob("*.yaml")) <= used


def test_everything_is_in_the_namespace(overlay: list[Document]) -> None:
    for resource in overlay:
        if resource["kind"] != "Namespace":
            assert resource["metadata"]["namespace"] == "captionary"
    labels = named(overlay, "Namespace", "captionary")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_confined(overlay: list[Document]) -> None:
    assert set(workloads(overlay)) == {"qdrant", *OURS}
    for workload in workloads(overlay).values():
        spec, inside = pod(workload), container(workload)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        # Kubernetes would set variables named after the services.
        assert spec["enableServiceLinks"] is False
        assert inside["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert inside["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in inside["resources"]["limits"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert inside[probe]["httpGet"]["port"] == "http"


def test_what_is_named_exists(overlay: list[Document]) -> None:
    keys, settings = named(overlay, "Secret", "keys"), named(overlay, "ConfigMap", "settings")
    assert set(keys["data"]) == set(SECRETS)
    for workload in workloads(overlay).values():
        inside = container(workload)
        volumes = {volume["name"] for volume in pod(workload).get("volumes", [])}
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes |= {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in inside["volumeMounts"]} == volumes
        for variable in inside["env"]:
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["name"] == keys["metadata"]["name"]
                assert reference["key"] in keys["data"]
        for source in inside.get("envFrom", []):
            assert source["configMapRef"]["name"] == settings["metadata"]["name"]


def test_services_budgets_and_policies_select_pods(overlay: list[Document]) -> None:
    pods = {
        name: workload["spec"]["template"]["metadata"]["labels"]
        for name, workload in workloads(overlay).items()
    }
    for name, workload in workloads(overlay).items():
        chosen = workload["spec"]["selector"]["matchLabels"]
        assert [other for other, labels in pods.items() if chosen.items() <= labels.items()] == [
            name
        ]
        service = named(overlay, "Service", name)
        assert service["spec"]["selector"].items() <= pods[name].items()
        offered = {port["name"] for port in container(workload)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered
    budget = named(overlay, "PodDisruptionBudget", "segmenter")
    assert budget["spec"]["selector"]["matchLabels"].items() <= pods["segmenter"].items()
    known = {labels["app.kubernetes.io/name"] for labels in pods.values()}
    policies = [resource for resource in overlay if resource["kind"] == "NetworkPolicy"]
    assert len(policies) == 3
    for policy in policies:
        chosen = policy["spec"]["podSelector"]
        for expression in chosen.get("matchExpressions", []):
            assert set(expression["values"]) <= known
        assert chosen.get("matchLabels", {}).get("app.kubernetes.io/name", "qdrant") in known


def test_there_is_one_writer_and_many_readers(overlay: list[Document]) -> None:
    indexer = workloads(overlay)["indexer"]
    assert (indexer["kind"], indexer["spec"]["replicas"]) == ("StatefulSet", 1)
    scalers = [one for one in overlay if one["kind"] == "HorizontalPodAutoscaler"]
    replicas = workloads(overlay)["segmenter"]["spec"].get("replicas")
    # Either a number, or something that sets it: both would work against each other.
    assert (replicas is None) == bool(scalers)
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("Deployment", "segmenter")
        assert scaler["spec"]["minReplicas"] >= 2
    assert (replicas or 2) >= 2


@pytest.mark.parametrize("name", OURS)
def test_pods_and_images_agree(
    overlay: list[Document], images: dict[str, Stage], name: str
) -> None:
    workload, image = workloads(overlay)[name], images[name]
    spec, inside = pod(workload), container(workload)
    user, group = image.user.split(":")
    context = spec["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    assert context["fsGroup"] == int(group)
    assert [port["containerPort"] for port in inside["ports"]] == [int(image.port)]
    assert {mount["mountPath"] for mount in inside["volumeMounts"]} == {*image.volumes, "/tmp"}
    assert inside["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert inside["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert inside["readinessProbe"]["httpGet"]["path"] == "/readyz"
    sleep = inside["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > sleep + GRACE_SECONDS
    ports = named(overlay, "Service", "qdrant")["spec"]["ports"]
    [http] = [port["port"] for port in ports if port["name"] == "http"]
    assert image.command == ["--store", f"http://qdrant:{http}/captionary"]


def test_the_reader_has_no_key_to_write_the_store(overlay: list[Document]) -> None:
    keys = {
        name: next(
            variable["valueFrom"]["secretKeyRef"]["key"]
            for variable in container(workloads(overlay)[name])["env"]
            if variable["name"] == "CAPTIONARY_QDRANT_API_KEY"
        )
        for name in OURS
    }
    assert keys == {"indexer": "QDRANT_API_KEY", "segmenter": "QDRANT_READ_ONLY_API_KEY"}


def test_images_are_pinned_and_graphics_asked_for_where_said(overlay: list[Document]) -> None:
    for name in OURS:
        workload = workloads(overlay)[name]
        image = container(workload)["image"]
        asked = "nvidia.com/gpu" in container(workload)["resources"]["limits"]
        assert image == f"captionary-{name}:0.1.0{'-cuda' if asked else ''}"
        assert ("nodeSelector" in pod(workload)) == ("tolerations" in pod(workload)) == asked
    assert container(workloads(overlay)["qdrant"])["image"].startswith("qdrant/qdrant:v")


def test_the_monitoring_component_selects_both_services(filled: Path) -> None:
    folder = filled / "kubernetes/overlays/watched"
    folder.mkdir(exist_ok=True)
    (folder / "kustomization.yaml").write_text(
        "resources: [../cpu]\ncomponents: [../../components/monitoring]\n", encoding="utf-8"
    )
    try:
        resources = documents(run("kubectl", "kustomize", folder))
    finally:
        (folder / "kustomization.yaml").unlink()
        folder.rmdir()
    monitor = named(resources, "ServiceMonitor", "captionary")
    [chosen] = monitor["spec"]["selector"]["matchExpressions"]
    for name in OURS:
        service = named(resources, "Service", name)
        assert service["metadata"]["labels"][chosen["key"]] in chosen["values"]
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_qdrant_is_the_same_in_compose_and_here(overlay: list[Document]) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    here = container(workloads(overlay)["qdrant"])
    assert here["image"] == compose["services"]["qdrant"]["image"]
    names = {variable["name"] for variable in here["env"]}
    assert names == set(compose["services"]["qdrant"]["environment"])
