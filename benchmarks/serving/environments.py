"""An environment of its own for each peer, with the same versions of what holds the model as ours."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SHARED = ("scikit-learn", "pandas", "pyarrow", "numpy", "scipy", "skops")
HELD_BACK = {"BentoML": (), "MLServer": ("uvloop<0.22",)}
"""MLServer's inference process asks for an event loop where there is none yet, which uvloop 0.22 no longer forgives."""
INSTALL_SECONDS = 600
PACKAGES = {"BentoML": "bentoml", "MLServer": "mlserver"}
READY = ".ready"


def make(name: str, folder: Path) -> str | None:
    """Install a peer where that has not been done; None, or why it cannot be."""
    place, uv = folder / PACKAGES[name], str(Path(sys.executable).with_name("uv"))
    if (place / READY).is_file():
        return None
    print(f"Installing {name} into an environment of its own (once)", flush=True)
    wanted = [PACKAGES[name], *HELD_BACK[name], *(f"{one}=={version(one)}" for one in SHARED)]
    commands = (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
        [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *wanted],
    )
    for command in commands:
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return f"was not installed within {INSTALL_SECONDS} s"
        if ended.returncode:
            return f"does not install beside our versions: {' '.join(ended.stderr.split())[:200]}"
    (place / READY).touch()
    return None


def version_in(name: str, folder: Path) -> str:
    """Which version of a peer is there."""
    python = folder / PACKAGES[name] / "bin" / "python"
    code = f"from importlib.metadata import version; print(version({PACKAGES[name]!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
