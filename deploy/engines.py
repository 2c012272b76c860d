"""Whatever builds and runs images on this machine: Docker or Podman; or buildah, where there is no engine and we are root.

With buildah a container is a changed root: read-only but for /tmp and the home, under an account without a privilege. Its network is this
machine's and nothing limits what it takes; that much only an engine shows.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOME = "/var/lib/evergreen"
BUILD_SECONDS, ANSWER_SECONDS = 3600, 120
MEGABYTE = 1e6
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
INSIDE = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$ROOT/tmp"
for pair in $MOUNTS; do mount --bind "${pair%%:*}" "$ROOT${pair#*:}"; done
exec chroot "$ROOT" /usr/bin/setpriv --reuid "$USER_ID" --regid "$GROUP_ID" --clear-groups --no-new-privs --inh-caps=-all \\
    --bounding-set=-all /usr/bin/env -i "$@"
"""
"""What a process becomes to be in a container of buildah's."""


@dataclass(frozen=True)
class Container:
    """How a command is run: nothing can be written but /tmp and the home, and no privilege is left."""

    home: str
    """The volume, or the folder, that is the home."""
    user: str
    """As uid:gid."""
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """Files of this machine, by their names in /run/secrets."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine, to be read, by their places in the container."""
    port: int = 0
    """The one that is reached from this machine, under the same number; 0 is none."""


def find_engine() -> str:
    """The first of docker, podman and buildah that works here; ends the process where none does."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, timeout=ANSWER_SECONDS, check=False).returncode == 0:
            return name
    if shutil.which("buildah") and os.geteuid() == 0:
        return "buildah"
    sys.exit("No engine for images answers. Start Docker or Podman; or install buildah and run this as root (Debian: apt install buildah).")


def build(engine: str, tag: str, arguments: Mapping[str, str]) -> None:
    """Build the Dockerfile of this folder; ends the process where that fails, behind what the engine says."""
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    how = {
        "docker": ["build", "--load"],
        "podman": ["build", "--format=docker"],  # OCI's format has no health check
        "buildah": ["bud", "--isolation=chroot", "--network=host", "--layers", "--format=docker"],
    }
    if subprocess.run([engine, *how[engine], *given, "--tag", tag, "."], timeout=BUILD_SECONDS, check=False).returncode:
        sys.exit(f"{engine} did not build the image; what it said stands above.")


def settings_of(engine: str, tag: str) -> dict[str, Any]:
    """What an image says of itself: User, Env, Labels, Healthcheck and so on."""
    if engine == "buildah":
        return dict(json.loads(_said(engine, "inspect", "--type", "image", tag))["Docker"]["config"])
    return dict(json.loads(_said(engine, "image", "inspect", tag))[0]["Config"])


def megabytes(engine: str, tag: str) -> float:
    """How large an image is, unpacked: its layers. What Docker calls its size counts packed ones too where containerd stores images."""
    if engine != "buildah":
        layers = _said(engine, "history", "--human=false", "--format", "{{.Size}}", tag).split()
        return sum(map(int, layers)) / MEGABYTE
    number, unit = _said(engine, "images", "--format", "{{.Size}}", tag).splitlines()[0].split()
    return float(number) * UNITS[unit]


def remove(engine: str, tag: str) -> None:
    """Remove an image, whether or not it is there; the layers of others stay."""
    subprocess.run([engine, "rmi", tag], capture_output=True, timeout=ANSWER_SECONDS, check=False)


@contextmanager
def new_home(engine: str, tag: str) -> Iterator[str]:
    """An empty home with the owner and the mode that the image gives it; removed in the end."""
    if engine != "buildah":
        name = _said(engine, "volume", "create").strip()
        try:
            yield name
        finally:
            _said(engine, "volume", "rm", name)
        return
    with tempfile.TemporaryDirectory(prefix="evergreen-image-") as name, _root(tag) as root:
        made = (root / HOME.lstrip("/")).stat()
        os.chown(name, made.st_uid, made.st_gid)
        Path(name).chmod(made.st_mode & 0o7777)
        yield name


@contextmanager
def started(engine: str, tag: str, container: Container, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a container of its own, by the image's entrypoint; without words the image's own command. Nothing of it stays."""
    if engine != "buildah":
        process = _popen(_engine_command(engine, tag, container, words), dict(os.environ))
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
        return
    with _root(tag) as root:
        process = _popen(*_changed_root(root, settings_of(engine, tag), container, words))
        try:
            yield process
        finally:
            _kill_all(root)
            process.communicate()


def _engine_command(engine: str, tag: str, container: Container, words: tuple[str, ...]) -> list[str]:
    shown = {f"/run/secrets/{name}": path for name, path in container.secrets.items()} | dict(container.folders)
    mounts = [f"--mount=type=bind,source={path},target={place},readonly" for place, path in shown.items()]
    return [
        *(engine, "run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        *(f"--user={container.user}", f"--volume={container.home}:{HOME}", *mounts),
        *(f"--env={name}={value}" for name, value in container.environment.items()),
        *([f"--publish=127.0.0.1:{container.port}:{container.port}"] if container.port else []),
        *(tag, *words),
    ]


def _changed_root(root: Path, settings: dict[str, Any], container: Container, words: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    mounts = {container.home: HOME, **{str(path): f"/run/secrets/{name}" for name, path in container.secrets.items()}}
    mounts |= {str(path): place for place, path in container.folders.items()}
    for name in container.secrets:
        inside = root / "run/secrets" / name
        inside.parent.mkdir(exist_ok=True)
        inside.touch()
    for place in ("proc", "dev", "tmp", *(place.lstrip("/") for place in container.folders)):
        (root / place).mkdir(exist_ok=True)
    user, _, group = container.user.partition(":")
    environment = {
        **os.environ,
        **{"ROOT": str(root), "USER_ID": user, "GROUP_ID": group, "MOUNTS": " ".join(f"{here}:{there}" for here, there in mounts.items())},
    }
    command = [*settings["Entrypoint"], *(words or settings["Cmd"])]
    first = ["sh", "-c", 'cd "$0" && exec "$@"', settings["WorkingDir"], *command]
    variables = [*settings["Env"], *(f"{name}={value}" for name, value in container.environment.items())]
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", INSIDE, "container", *variables, *first], environment


@contextmanager
def _root(tag: str) -> Iterator[Path]:
    name = _said("buildah", "from", tag).strip()
    try:
        yield Path(_said("buildah", "mount", name).strip())
    finally:
        _said("buildah", "rm", name)


def _kill_all(root: Path) -> None:
    """End whatever still runs in a changed root: only what we have started there can."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "root").readlink() == root:
                os.kill(int(process.name), signal.SIGKILL)


def _popen(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
