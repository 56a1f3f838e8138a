"""Every link and every citation of a document leads to a file, and to an anchor in it.

A citation is a path such as `docs/design.md`, with or without an anchor, in a docstring, a comment or any other text.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"build", "dist", "node_modules", "__pycache__"}
"""Folders that git ignores; those that begin with a dot are skipped too, but for `.ci`."""

CITED = re.compile(r"(?<![\w/.-])docs/[\w/.-]+\.md(?:#[\w-]+)?")


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield the files of the repository."""
    for path in sorted(folder.iterdir()):
        ignored = path.name in SKIPPED or (path.name.startswith(".") and path.name != ".ci")
        if path.is_dir() and not ignored:
            yield from files(path)
        elif path.is_file() and not ignored and path != Path(__file__):
            yield path


def text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


TEXTS = {path: text for path in files() if (text := text_of(path))}
PAGES = [path for path in TEXTS if path.suffix == ".md"]
CITING = [path for path, text in TEXTS.items() if CITED.search(text)]


def links(text: str) -> Iterator[str]:
    """Yield the targets of Markdown links and images into the repository; code is no link."""
    prose = re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(text: str) -> set[str]:
    """Return what a page can be linked to: its `<a id>`, and its headings as GitHub spells them."""
    named = re.findall(r'<a id="([^"]+)">', text)
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {*named, *(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)}


@cache
def anchors_of(page: Path) -> frozenset[str]:
    return frozenset(anchors(page.read_text("utf-8")))


def is_broken(target: str, folder: Path, page: Path | None = None) -> bool:
    """Whether a link leads nowhere; `page` is what a link without a path is about."""
    path, _, anchor = target.partition("#")
    aim = folder / path if path else page
    if aim is None or not aim.exists():
        return True
    return bool(anchor) and anchor not in anchors_of(aim)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_anchors(page: Path) -> None:
    broken = sorted({link for link in links(TEXTS[page]) if is_broken(link, page.parent, page)})
    assert broken == [], f"{name(page)} links to what does not exist"


@pytest.mark.parametrize("path", CITING, ids=name)
def test_cited_documents_and_anchors_exist(path: Path) -> None:
    broken = sorted({citation for citation in CITED.findall(TEXTS[path]) if is_broken(citation, ROOT)})
    assert broken == [], f"{name(path)} cites what does not exist"


def test_no_anchor_is_defined_twice() -> None:
    for page in PAGES:
        named = re.findall(r'<a id="([^"]+)">', TEXTS[page])
        assert sorted(named) == sorted(set(named)), name(page)


def test_every_quirk_that_tests_play_is_described() -> None:
    tests = [text for path, text in TEXTS.items() if path.match("test_*.py") and "tests" in path.parts]
    played = {f"q{number}" for text in tests for number in re.findall(r"\bdef test_q(\d+)_", text)}
    assert len(played) == 35
    assert played - anchors_of(ROOT / "docs" / "fhir-quirks.md") == set()


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    decisions = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert decisions == set(links(TEXTS[folder / "README.md"])) - {"../design.md"}


def test_links_are_found_and_code_is_not() -> None:
    text = "![a](b.png) [c](d.md#e) [f](#g) [h](https://example.org) `[i](j)`\n```sh\n[k](l)\n```\n[m](n/ 'title')\n"
    assert list(links(text)) == ["b.png", "d.md#e", "#g", "n/"]


def test_anchors_are_found_as_github_spells_them() -> None:
    text = '<a id="watermark"></a>\n## Size, and `the` limit-to set\n```sh\n# a comment\n```\n| <a id="q1"></a>Q1 |\n'
    assert anchors(text) == {"watermark", "q1", "size-and-the-limit-to-set"}


def test_citations_are_found_in_any_text() -> None:
    text = 'see docs/design.md#watermark. And `docs/a/b.md`; https://example.org/x/docs/c.md "docs/d.md"'
    assert CITED.findall(text) == ["docs/design.md#watermark", "docs/a/b.md", "docs/d.md"]


@pytest.mark.parametrize("target", ["docs/nothing.md", "docs/design.md#nothing", "#words"])
def test_a_broken_link_would_be_found(target: str) -> None:
    assert is_broken(target, ROOT)
