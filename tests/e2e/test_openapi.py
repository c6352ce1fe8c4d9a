"""The OpenAPI documents in docs/openapi are those of the services."""

import json
from pathlib import Path

import pytest

from tools.openapi import ROLES, build_documents

FOLDER = Path(__file__).parents[2] / "docs" / "openapi"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(build_documents())


def test_every_document_is_of_a_service(made: dict[str, str]) -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(made)
    assert len(made) == len(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_documents_are_up_to_date(made: dict[str, str], role: str) -> None:
    committed = (FOLDER / f"{role}.json").read_text(encoding="utf-8")
    assert committed == made[f"{role}.json"], "renew: python -m tools.openapi docs/openapi"


@pytest.mark.parametrize("role", ROLES)
def test_every_route_says_what_it_is_for(role: str) -> None:
    document = json.loads((FOLDER / f"{role}.json").read_text(encoding="utf-8"))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
