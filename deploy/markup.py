"""A page as a list of its elements, and whether they are nested as HTML allows; nothing is mended, as a browser would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
"""They have no end."""
BLOCKS = {
    *("article", "aside", "details", "div", "dl", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
    *("header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul"),
}
"""They end a paragraph that they stand in."""
CHILDREN = {
    **dict.fromkeys(("ul", "ol"), frozenset({"li"})),
    "dl": frozenset({"dt", "dd", "div"}),
    "table": frozenset({"caption", "colgroup", "thead", "tbody", "tfoot", "tr"}),
    **dict.fromkeys(("thead", "tbody", "tfoot"), frozenset({"tr"})),
    "tr": frozenset({"th", "td"}),
}
"""The only elements that these may hold."""


@dataclass(frozen=True)
class Element:
    """One element: what it is, where it stands and what it says."""

    tag: str
    attributes: dict[str, str]
    line: int
    above: tuple[Element, ...]
    """The elements around it, the outermost first."""
    words: list[str] = field(default_factory=list)
    """Its text, that of the elements in it too."""
    inside: list[Element] = field(default_factory=list)
    """The elements in it, in the order of the page."""

    @property
    def text(self) -> str:
        """What it says, with single spaces."""
        return " ".join("".join(self.words).split())

    @property
    def classes(self) -> set[str]:
        """The names of its class."""
        return set(self.attributes.get("class", "").split())

    def __str__(self) -> str:
        name = "".join(f' {key}="{self.attributes[key]}"' for key in ("id", "class", "href") if key in self.attributes)
        return f"<{self.tag}{name}> in line {self.line}"


class Markup(HTMLParser):
    """The elements of a page, its ids, and what is wrong with their nesting."""

    def __init__(self, text: str) -> None:
        """Read the whole page."""
        super().__init__()
        self.elements: list[Element] = []
        self.faults: list[str] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        self.faults += [f"{element} has no end" for element in self._open]
        self.ids = [element.attributes["id"] for element in self.elements if "id" in element.attributes]

    def named(self, *tags: str) -> list[Element]:
        """The elements of these kinds, in the order of the page."""
        return [element for element in self.elements if element.tag in tags]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, unless it is one that has no end."""
        element = self._add(tag, attrs)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that ends where it begins, which only drawings and elements without an end may do."""
        element = self._add(tag, attrs)
        if tag not in VOID and all(around.tag != "svg" for around in element.above):
            self.faults.append(f"{element} ends where it begins, which HTML does not know")

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last, which must be of this kind."""
        if self._open and self._open[-1].tag == tag:
            self._open.pop()
            return
        inner = f"; {self._open[-1]} is open" if self._open else ""
        self.faults.append(f"</{tag}> in line {self.getpos()[0]} ends nothing{inner}")
        if tag in [element.tag for element in self._open]:
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Text belongs to every element around it."""
        for element in self._open:
            element.words.append(data)

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        names = [name for name, _ in attrs]
        element = Element(tag, {name: value or "" for name, value in attrs}, self.getpos()[0], tuple(self._open))
        if len(names) > len(set(names)):
            self.faults.append(f"{element} has an attribute twice")
        if self._open and tag not in CHILDREN.get(self._open[-1].tag, {tag}):
            self.faults.append(f"{element} stands directly in {self._open[-1]}")
        if tag in BLOCKS and any(around.tag == "p" for around in self._open):
            self.faults.append(f"{element} stands in a paragraph, which it ends")
        for around in self._open:
            around.inside.append(element)
        self.elements.append(element)
        return element
