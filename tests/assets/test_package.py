"""What is installed: under which name, with which addresses."""

import tomllib
import zipfile
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

from exporter import documents

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.slow
def test_the_wheel_installs_one_package_that_no_other_distribution_has(tmp_path: Path) -> None:
    words = ["--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    run([executable, "-m", "build", *words], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"fhir_task_exporter"}
    sources = {path.relative_to(ROOT / "exporter").as_posix() for path in (ROOT / "exporter").rglob("*.py")}
    assert sources <= {name.partition("/")[2] for name in names}
    assert "fhir_task_exporter/_bundle/rules/alerts.yaml" in names


def test_an_editable_installation_finds_the_same_files() -> None:
    link = ROOT / "fhir_task_exporter"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "exporter"


def test_documents_are_where_the_distribution_says() -> None:
    urls = PROJECT["urls"]
    assert urls["Homepage"] == documents.REPOSITORY
    assert all(url.startswith(documents.REPOSITORY) for url in urls.values())
    assert (ROOT / "docs" / documents.url("configuration.md").rpartition("/docs/")[2]).exists()


@pytest.mark.parametrize(
    ("version", "revision"), [("1.2.3", "v1.2.3"), ("1.2.4.dev3+g0a1b2c", "main"), ("0.1.0.dev0", "main")]
)
def test_a_release_has_documents_of_its_own(version: str, revision: str) -> None:
    assert documents._revision(version) == revision
