"""Links, paths and modules that the documents name exist."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/*.md", "captionary/**/README.md")
    for path in ROOT.glob(pattern)
)

BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
PATH = re.compile(r"(?<![\w./-])(?:captionary|tests|tools|benchmarks|examples)/[\w./-]*\w")
MODULE = re.compile(r"python3? -m ([\w.]*\w)")


def page_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; none of other files."""
    if page.suffix != ".md":
        return set()
    headings = HEADING.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", LINK.sub("]", heading)) for heading in headings)
    return {heading.lower().replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> Iterator[str]:
    """The links within the repository that lead to no file, or to no heading of one."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(CODE.sub("`code`", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in page_anchors(target)):
            yield link


def missing_paths(text: str) -> Iterator[str]:
    """Paths of the repository that a text names and that are not there."""
    yield from (path for path in PATH.findall(text) if not (ROOT / path).exists())


def missing_modules(text: str) -> Iterator[str]:
    """Modules that a text runs by `python -m` and that are not there."""
    for name in MODULE.findall(text):
        path = ROOT / name.replace(".", "/")
        ours = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        if not ours and ("." in name or importlib.util.find_spec(name) is None):
            yield name


def test_all_pages_are_there() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md"} <= {*PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_exists(name: str) -> None:
    page = ROOT / name
    text = page.read_text(encoding="utf-8")

    assert [*broken_links(page)] == []
    assert [*missing_paths(text)] == []
    assert [*missing_modules(text)] == []


def test_planted_faults_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, `with` code\n[a](#a-title-with-code) [b](#no-title) [c](none.md) [d](page.md)\n"
        "[e](https://example.org/#x) `[f](code)`\n```\n# no title\n[g](block)\n```\n"
    )

    assert [*broken_links(page)] == ["#no-title", "none.md"]
    assert [*missing_paths("see captionary/build.py, captionary/none.py and tests/")] == [
        "captionary/none.py"
    ]
    assert [*missing_modules("python -m captionary; python -m pytest; python -m tools.none")] == [
        "tools.none"
    ]
