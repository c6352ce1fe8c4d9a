import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT, Document, run

MONITORING = DEPLOY / "monitoring"
RULES = MONITORING / "alerts.yml"


@pytest.fixture(scope="module")
def dashboard() -> Document:
    path = MONITORING / "grafana/dashboards/captionary.json"
    found: Document = json.loads(path.read_text(encoding="utf-8"))
    return found


def alerts() -> list[Document]:
    found = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def questions(dashboard: Document) -> list[str]:
    """Everything that Prometheus is asked, by the dashboard and for the alerts."""
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = [expression.replace("$__rate_interval", "5m") for expression in asked]
    return asked + [rule["expr"] for rule in alerts()]


def test_prometheus_can_read_every_question(dashboard: Document) -> None:
    parser = pytest.importorskip("promql_parser")
    for expression in questions(dashboard):
        parser.parse(expression)


def test_every_alert_says_what_is_wrong() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names) >= 8
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    for rule in alerts():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "warning")
        assert f"`{rule['alert']}`" in page


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    run("promtool", "check", "rules", RULES)
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/", ""))
    shutil.copy(RULES, tmp_path)
    run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_alerts_are_raised_when_they_should_and_only_then() -> None:
    run("promtool", "test", "rules", ROOT / "tests/deploy/alerts_test.yml")


def test_the_dashboard_has_what_is_looked_for(dashboard: Document) -> None:
    titles = " ".join(panel["title"] for panel in dashboard["panels"])
    for word in ("Requests", "p50", "p95", "Stages", "Queues", "Dictionary", "Errors", "Memory"):
        assert word in titles


def test_panels_lie_beside_each_other(dashboard: Document) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )

    for one, other in itertools.combinations(dashboard["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])
    assert all(x < 24 for panel in dashboard["panels"] for x, _ in cells(panel))


def test_what_is_provisioned_fits_together(dashboard: Document) -> None:
    provisioning = MONITORING / "grafana/provisioning"
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    [source] = sources["datasources"]
    used = {target["datasource"]["uid"] for p in dashboard["panels"] for target in p["targets"]}
    assert used == {source["uid"]} == {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090"
    mounts = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
    boards = yaml.safe_load((provisioning / "dashboards/captionary.yml").read_text())
    [provider] = boards["providers"]
    assert provider["options"]["path"] == mounts["./monitoring/grafana/dashboards"]
    home = compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/captionary.json"


def test_prometheus_asks_both_services_of_compose(images: Any) -> None:
    said = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in said["scrape_configs"]}
    assert set(jobs) == {"indexer", "segmenter"}
    port = images["indexer"].port
    assert jobs["indexer"]["static_configs"] == [{"targets": [f"indexer:{port}"]}]
    [found] = jobs["segmenter"]["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["segmenter"], int(port))


def names_of(expression: str) -> set[str]:
    """The figures that a question is about."""
    return set(re.findall(r"\b(?:captionary|process)_[a-z_]+", expression))


def test_figures_are_found_in_questions() -> None:
    question = 'sum by (le) (rate(captionary_request_seconds_bucket{route="/v1/a"}[5m])) > 1'
    assert names_of(question) == {"captionary_request_seconds_bucket"}
