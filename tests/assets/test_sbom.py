"""The software bill of materials lists exactly what is installed in the image, or is refused."""

import json
import subprocess
from pathlib import Path

import pytest

from .deploy.files import ROOT

OURS = ("fhir-task-exporter", "1.2.3")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Make the files of an image in which the exporter and one package are installed."""
    packages(tmp_path).mkdir(parents=True)
    install(tmp_path, *OURS)
    install(tmp_path, "python-dateutil", "2.9.0.post0")
    return tmp_path


def packages(image: Path) -> Path:
    return image / "opt/fhir-task-exporter/lib/python3.11/site-packages"


def install(image: Path, name: str, version: str, **files: str) -> Path:
    folder = packages(image) / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    files = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"} | files
    for file, text in files.items():
        (folder / file.replace("_json", ".json")).write_text(text)
    return folder


def sbom(image: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [ROOT / ".ci/sbom", image, image / "sbom.json", *(options or ("--no-validate",))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_lists_what_is_installed_and_nothing_of_this_machine(image: Path) -> None:
    assert sbom(image, "--validate").returncode == 0  # against CycloneDX's own schema
    listed = json.loads((image / "sbom.json").read_text())
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert [each["purl"] for each in listed["components"]] == [
        "pkg:pypi/fhir-task-exporter@1.2.3",
        "pkg:pypi/python-dateutil@2.9.0.post0",
    ]


def test_two_images_with_the_same_packages_have_the_same_list(image: Path) -> None:
    assert sbom(image).returncode == 0
    first = (image / "sbom.json").read_bytes()
    assert sbom(image).returncode == 0
    assert (image / "sbom.json").read_bytes() == first


def test_a_package_that_says_another_name_than_its_folder_is_refused(image: Path) -> None:
    install(image, "httpx", "0.28.1", METADATA="Metadata-Version: 2.1\nName: httpy\nVersion: 0.28.1\n")
    ended = sbom(image)
    assert ended.returncode == 1
    assert "httpy 0.28.1 is only listed" in ended.stderr
    assert "httpx 0.28.1 is only installed" in ended.stderr


def test_a_package_that_did_not_come_from_an_index_is_refused(image: Path) -> None:
    install(image, "local", "1", direct_url_json=json.dumps({"url": "file:///local", "dir_info": {}}))
    assert sbom(image).returncode == 1


def test_an_image_without_the_exporter_is_refused(image: Path, tmp_path: Path) -> None:
    for file in (packages(image) / "fhir_task_exporter-1.2.3.dist-info").iterdir():
        file.unlink()
    (packages(image) / "fhir_task_exporter-1.2.3.dist-info").rmdir()
    assert sbom(image).returncode == 1
    assert "holds no /opt/fhir-task-exporter" in sbom(tmp_path / "elsewhere").stderr
