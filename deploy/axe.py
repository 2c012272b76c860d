"""axe-core, which finds what keeps people with a disability from a page: fetched once through npm, used only as it was pinned."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

VERSION = "4.14.1"
INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""As npm has it (`npm view axe-core@VERSION dist.integrity`); to be changed with the version."""
CACHE = Path(".cache")
SCRIPT = "package/axe.min.js"
SECONDS = 120


def script_of(cache: Path = CACHE) -> str:
    """The script of axe-core, whose archive is fetched when it is not in the cache; ends the process where it cannot be had."""
    archive = cache / f"axe-core-{VERSION}.tgz"
    if not archive.is_file():
        _fetch(cache)
    content = archive.read_bytes()
    if integrity(content) != INTEGRITY:
        archive.unlink()
        raise SystemExit(f"{archive} is {integrity(content)}, not {INTEGRITY} as deploy/axe.py has it; it was removed. Run again")
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        member = packed.extractfile(SCRIPT)
        assert member is not None, SCRIPT  # noqa: S101 (the archive is the pinned one)
        return member.read().decode()


def integrity(content: bytes) -> str:
    """The digest of an archive, as npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _fetch(cache: Path) -> None:
    if not shutil.which("npm"):
        raise SystemExit("npm is missing, which fetches axe-core (once). Install Node.js; on Debian and Ubuntu: apt install npm")
    cache.mkdir(parents=True, exist_ok=True)
    words = ["npm", "pack", "--silent", "--ignore-scripts", f"axe-core@{VERSION}", "--pack-destination", str(cache)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise SystemExit(f"npm could not fetch axe-core {VERSION}:\n{done.stdout}{done.stderr}")
