"""The bill of materials, as it is signed with the image."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("out")
    words = ["make", "--assume-old", ".venv/.ready", "sbom", f"BIN={Path(sys.executable).parent}", f"OUT={out}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads((out / "sbom.cdx.json").read_text())
    return found


def test_it_is_what_githubs_attestation_takes_for_cyclonedx(bill):
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["specVersion"] >= "1.5"
    assert bill["serialNumber"].startswith("urn:uuid:")  # optional in the format, and without it the attestation is refused


def test_it_names_each_locked_package_with_its_version_and_its_digests(bill):
    locked = dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert {one["name"]: one["version"] for one in bill["components"]} == locked
    assert all(reference["hashes"] for one in bill["components"] for reference in one["externalReferences"])
    assert bill["metadata"]["component"]["name"]
