import re
from pathlib import Path

import pytest

from captionary.files.cache import VARIABLE
from captionary.serving.settings import PREFIX, ServeSettings
from captionary.vocabulary.engines.server_settings import PREFIX as STORE_PREFIX
from captionary.vocabulary.engines.server_settings import ServerSettings
from tests.deploy.tools import ROOT, run, texts

OPERATING = ROOT / "docs/operating.md"

KNOWN = {f"{PREFIX}{name}".upper() for name in ServeSettings.model_fields}
KNOWN |= {f"{STORE_PREFIX}{name}".upper() for name in ServerSettings.model_fields} | {VARIABLE}

HOSTS = {"127.0.0.1", "localhost", "qdrant", "prometheus"}
"""What addresses may name, besides names reserved for examples."""

LOOKS = """
extends: default
rules: {line-length: disable, document-start: disable, braces: {max-spaces-inside: 0}}
"""


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bCAPTIONARY_[A-Z_]+\b", text))


def test_every_variable_is_one_that_the_services_read() -> None:
    for name, text in texts().items():
        assert variables(text) <= KNOWN, name


def test_the_page_on_operating_tells_all_settings_and_no_other() -> None:
    page = OPERATING.read_text(encoding="utf-8")
    assert variables(page) - {"CAPTIONARY_TEST_QDRANT_URL", "CAPTIONARY_TEST_QDRANT_API_KEY"} == (
        KNOWN
    )


def test_the_defaults_that_the_page_tells_are_true() -> None:
    page = OPERATING.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(CAPTIONARY_\w+)` \| ([^|]*?) \|", page, re.MULTILINE))
    assert set(rows) == KNOWN
    for prefix, settings in ((STORE_PREFIX, ServerSettings), (PREFIX, ServeSettings)):
        for name, field in settings.model_fields.items():
            told = rows[f"{prefix}{name}".upper()]
            default = field.default
            if default in (None, ()):
                assert told == "-", name
            else:
                assert told == f"`{str(default).lower()}`", name


def test_addresses_are_those_of_the_deployment_or_examples() -> None:
    for name, text in texts().items():
        for host in re.findall(r"https?://([A-Za-z0-9.-]+)", text):
            assert host in HOSTS or host.endswith(".example"), f"{name}: {host}"


def test_images_are_named_without_a_registry() -> None:
    found = 0
    for name, text in texts().items():
        for image in re.findall(r"^\s*(?:- )?(?:image:|FROM) (\S+)", text, re.MULTILINE):
            found += 1
            first, *rest = image.split("/")
            assert not rest or not set(first) & {".", ":"}, f"{name}: {image}"
            assert ":latest" not in image
    assert found > 8


def test_no_secret_is_written_down() -> None:
    for name, text in texts().items():
        for line in text.splitlines():
            assert not re.search(r"\b\w*(KEYS?|PASSWORD|TOKEN)=[^\s\"'$]{4,}", line), (
                f"{name}: {line}"
            )
            assert not re.search(r"\b(?=\w*[a-z])(?=\w*\d)[\w-]{32,}", line), f"{name}: {line}"


@pytest.mark.parametrize("name", [".env", "kubernetes/base/secrets.env"])
def test_what_an_operator_fills_in_is_not_committed(name: str) -> None:
    assert run("git", "check-ignore", f"deploy/{name}").strip() == f"deploy/{name}"


def test_yaml_is_as_tidy_as_yamllint_wants(tmp_path: Path) -> None:
    looks = tmp_path / "looks.yaml"
    looks.write_text(LOOKS, encoding="utf-8")
    run("yamllint", "--strict", "-c", looks, "deploy", "tests/deploy")
