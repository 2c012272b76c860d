"""The document of the API as a page that a person reads; it loads nothing from anywhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;"
    "border-bottom:1px solid #8886}pre{overflow:auto;padding:.8rem;border:1px solid #8886;border-radius:.4rem}code,pre{font-size:.9em}"
)


def page(document: dict[str, Any], example: dict[str, Any]) -> str:
    """The page: every route, every field of the version that serves, and the example as a request that works.

    Before there is a version, the routes; without an example, as it is empty, no request.
    """
    told = document["info"]
    parts = [f"<h1>{escape(told['title'])}, version {escape(told['version'])}</h1>"]
    parts += [f"<p>{escape(line)}</p>" for line in told["description"].split("\n\n")]
    routes = [
        (f"<code>{method.upper()} {path}</code>", escape(operation.get("summary", "")))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts.append(_table("Routes", ("Route", "What it answers"), routes))
    row = document.get("components", {}).get("schemas", {}).get("Row")
    if row is not None:
        needed = set(row["required"])
        fields = [
            (f"<code>{escape(name)}</code>", escape(field.get("description", "")) + ("" if name in needed else " May be left out."))
            for name, field in row["properties"].items()
        ]
        parts.append(_table("Fields of a row", ("Field", "Value"), fields))
    if example:
        body = escape(json.dumps(example, ensure_ascii=False))
        call = f"curl -s <em>this server</em>/predict -H 'content-type: application/json' -d '{body}'"
        parts.append(f"<h2>A request that works</h2><pre>{call}</pre>")
    parts.append('<p>For programs: <a href="openapi.json">openapi.json</a>.</p>')
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(told["title"])}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>{"".join(parts)}</body></html>'


def _table(title: str, head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    lines = "".join(f"<tr><td>{first}</td><td>{second}</td></tr>" for first, second in rows)
    return f"<h2>{title}</h2><table><tr>{names}</tr>{lines}</table>"
