"""What every page must be, as can be told from its text alone: sound, named, self-contained, and with links that lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.markup import Element, Markup

REFERRING = ("aria-labelledby", "aria-describedby", "aria-controls", "for")
ADDRESSES = ("href", "src", "srcset", "action", "formaction", "data", "poster", "xlink:href")
STYLED = re.compile(r"@import|url\(\s*['\"]?(?!#|data:)", re.IGNORECASE)
WITHIN = ("data:,", "data:image/")
"""What a page may carry in itself."""


def nested(page: Markup) -> list[str]:
    """Every element ends where it should, and stands where it may."""
    return page.faults


def unique(page: Markup) -> list[str]:
    """No id is there twice."""
    return [f'the id "{name}" is there {count} times' for name, count in Counter(page.ids).items() if count > 1]


def resolved(page: Markup) -> list[str]:
    """Whatever refers to an element of the page finds it."""
    known = {*page.ids, ""}
    faults = []
    for element in page.elements:
        named = [name for key in REFERRING for name in element.attributes.get(key, "").split()]
        named += [unquote(link[1:]) for link in (element.attributes.get(key, "") for key in ("href", "xlink:href")) if link.startswith("#")]
        faults += [f'{element} refers to "{name}", which is not on the page' for name in named if name not in known]
    return faults


def ordered(page: Markup) -> list[str]:
    """One heading of the first level comes first, and no level is left out on the way down."""
    found = page.named("h1", "h2", "h3", "h4", "h5", "h6")
    levels = [int(element.tag[1]) for element in found]
    faults = (
        [] if levels.count(1) == 1 and levels[0] == 1 else [f"the headings are of the levels {levels}: the first and only the first is 1"]
    )
    faults += [f"{after} follows {before}" for before, after in pairwise(found) if int(after.tag[1]) > int(before.tag[1]) + 1]
    return faults + [f"{element} is empty" for element in found if not element.text]


def told(page: Markup) -> list[str]:
    """Pages, links, summaries and pictures have words, and the page says its language."""
    faults = [f"{element} says no language" for element in page.named("html") if not element.attributes.get("lang")]
    faults += [] if any(element.text for element in page.named("title") if _parent(element) == "head") else ["the page has no title"]
    wordless = [element for element in page.named("a", "summary", "button") if not (element.text or _label(element))]
    faults += [f"{element} has no words" for element in wordless]
    faults += [f"{element} has no alt" for element in page.named("img") if "alt" not in element.attributes]
    return faults + [f"{element} has no label" for element in page.named("input", "select", "textarea") if not _is_labelled(element, page)]


def tabled(page: Markup) -> list[str]:
    """Tables have a caption or a label (or fill a region that has one), and headers that say what they are for."""
    faults = []
    for table in page.named("table"):
        heads = [element for element in table.inside if element.tag == "th"]
        has_caption = any(element.tag == "caption" and element.text for element in table.inside)
        region = table.above[-1] if table.above else table
        if not (has_caption or _label(table) or ("scroll" in region.classes and _label(region))):
            faults.append(f"{table} has neither caption nor label")
        faults += [] if heads else [f"{table} has no headers"]
        faults += [f"{head} has no scope" for head in heads if head.attributes.get("scope") not in {"col", "row", "colgroup", "rowgroup"}]
    return faults


def drawn(page: Markup) -> list[str]:
    """A plot says what it shows and what is to be seen; every other drawing is either named or hidden from those who listen."""
    faults = []
    for element in page.named("svg"):
        if "plot" not in element.classes:
            is_named = element.attributes.get("aria-hidden") == "true" or _label(element)
            faults += [] if is_named else [f"{element} is neither named nor hidden"]
            continue
        said = {inner.tag: inner.attributes.get("id") for inner in element.inside if inner.tag in {"title", "desc"} and inner.text}
        names = element.attributes.get("aria-labelledby", "").split()
        if set(said) != {"title", "desc"} or set(names) != set(said.values()) or element.attributes.get("role") != "img":
            faults.append(f"{element} is no picture that is named by its title and its description")
    return faults


def reachable(page: Markup) -> list[str]:
    """What can be moved within a frame of its own is reached by the keyboard and has a name."""
    frames = [element for element in page.elements if "scroll" in element.classes]
    return [f"{one} is not reached by the keyboard, or has no name" for one in frames if not _is_region(one)]


def closed(page: Markup) -> list[str]:
    """Nothing is fetched from anywhere else, and nothing runs."""
    faults = [f"{element} may run something" for element in page.named("script", "iframe", "object", "embed")]
    for element in page.elements:
        faults += [f"{element} has the handler {name}" for name in element.attributes if name.startswith("on")]
        for link in (element.attributes[name].strip() for name in ADDRESSES if name in element.attributes):
            if not link.startswith(WITHIN) and (urlsplit(link).scheme or link.startswith("//")):
                faults.append(f"{element} leads out of the site: {link}")
        if STYLED.search(element.attributes.get("style", "")) or (element.tag == "style" and STYLED.search(element.text)):
            faults.append(f"{element} fetches something")
    return faults


RULES: tuple[Callable[[Markup], list[str]], ...] = (nested, unique, resolved, ordered, told, tabled, drawn, reachable, closed)


def faults_of(text: str) -> list[str]:
    """What is wrong with a page, each as rule and sentence."""
    page = Markup(text)
    return [f"{rule.__name__}: {fault}" for rule in RULES for fault in rule(page)]


def follow(site: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Every page that links lead to from index.html, in that order; and each link that leads nowhere, with the page that it is on."""
    pages, faults = [site / "index.html"], []
    read: dict[Path, Markup] = {}
    for page in pages:  # it grows on the way
        for element in _read(page, read).named("a"):
            place, _, anchor = element.attributes.get("href", "").partition("#")
            target = (page.parent / unquote(place)).resolve() if place else page
            if urlsplit(place).scheme or place.startswith(("/", "?")) or not target.is_relative_to(site.resolve()):
                faults.append((page, f"{element} leads out of the site"))
            elif not target.is_file():
                faults.append((page, f"{element} leads to no file"))
            elif target.suffix == ".html":
                pages += [] if target in pages else [target]
                if anchor and unquote(anchor) not in _read(target, read).ids:
                    faults.append((page, f"{element} names a place that is not there"))
    return pages, faults


def _read(page: Path, known: dict[Path, Markup]) -> Markup:
    if page not in known:
        known[page] = Markup(page.read_text())
    return known[page]


def _label(element: Element) -> str:
    return element.attributes.get("aria-label", "").strip() or element.attributes.get("aria-labelledby", "").strip()


def _parent(element: Element) -> str:
    return element.above[-1].tag if element.above else ""


def _is_labelled(element: Element, page: Markup) -> bool:
    named = {label.attributes.get("for") for label in page.named("label")}
    is_within = any(around.tag == "label" for around in element.above)
    return bool(_label(element)) or is_within or element.attributes.get("id") in named or element.attributes.get("type") == "hidden"


def _is_region(element: Element) -> bool:
    return element.attributes.get("tabindex") == "0" and element.attributes.get("role") == "region" and bool(_label(element))
