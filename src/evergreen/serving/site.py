"""The pages that people read, as files of one folder; nothing outside it, nothing hidden, nothing that runs."""

from __future__ import annotations

import binascii
from base64 import b64decode
from html import escape
from pathlib import Path

from starlette.responses import Response

from evergreen.files import digest_bytes

KINDS = {".html": "text/html; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml", ".css": "text/css; charset=utf-8"}
OTHER = "application/octet-stream"
SAFE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""A page shows what others have delivered: whatever of it gets past the templates runs nothing and fetches nothing."""
ASK = {"www-authenticate": 'Basic realm="evergreen: any name, the API\'s key as password", charset="UTF-8"'}
PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><p>{words}</p></html>'
NONE_YET = "No page has been written yet. A round writes them: run <code>evergreen run</code>, or put a delivery into its landing folder."
OVERVIEW = "index.html"


def answer(folder: Path, path: str, *, known: str) -> Response:
    """The file at a path below the folder, read whole: it may be replaced at any time. `known`: the tags of what whoever asks has kept."""
    content = _read(folder, path or OVERVIEW)
    if content is None:
        is_there = (folder / OVERVIEW).is_file()
        what = f'There is nothing at /site/{escape(path[:200])}. <a href="/site/">The overview</a>' if is_there else NONE_YET
        return _told(404, "Nothing is there", what)
    tag = f'"{digest_bytes(content)[:32]}"'
    headers = SAFE | {"etag": tag}
    if known.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in known.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers | {"content-type": KINDS.get(Path(path or OVERVIEW).suffix, OTHER)})


def locked() -> Response:
    """The answer to whoever has not said the key: a browser asks for it then, as a password."""
    return _told(401, "A key is wanted", "Give the key of the API (EVERGREEN_API_KEY) as the password; any name does.", ASK)


def with_password(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with the key as a program sends it, where a browser sends it as a password: it can send nothing else."""
    for name, value in headers:
        if name == b"authorization" and value[:6].lower() == b"basic ":
            try:
                _, _, password = b64decode(value[6:].strip(), validate=True).partition(b":")
            except binascii.Error:
                return headers
            return [*(one for one in headers if one[0] != b"x-api-key"), (b"x-api-key", password)]
    return headers


def _read(folder: Path, path: str) -> bytes | None:
    """What stands in a file; None where there is none below the folder by that name."""
    parts = path.split("/")
    if any(part.startswith(".") or not part for part in parts):  # hidden ones are still being written; .. leads out
        return None
    try:
        home = folder.resolve()
        place = (home / path).resolve()
        return place.read_bytes() if place.is_relative_to(home) and place.is_file() else None
    except (OSError, ValueError):  # too long, not to be read, or no name at all
        return None


def _told(status: int, title: str, words: str, headers: dict[str, str] | None = None) -> Response:
    content = PAGE.format(title=title, words=words)
    return Response(content, status_code=status, headers=SAFE | {"content-type": KINDS[".html"]} | (headers or {}))
