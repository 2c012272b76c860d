"""How every plot is drawn: SVG that follows the page in colours and font, quiet axes, words that stay words."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from markupsafe import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib needs real colours to draw with; each of these stands for a variable of page.css and is replaced by it.
INK, MUTED, LINE, GOOD, BAD = "#010101", "#020202", "#030303", "#040404", "#050505"
CANDIDATE, CHAMPION, RULE, SURFACE = "#060606", "#070707", "#080808", "#090909"
VARIABLES = {
    **{INK: "--ink", MUTED: "--muted", LINE: "--line", GOOD: "--good", BAD: "--bad"},
    **{CANDIDATE: "--candidate", CHAMPION: "--champion", RULE: "--rule", SURFACE: "--surface"},
}
# Told apart by line and mark too, never by colour alone.
LOOKS: dict[str, dict[str, Any]] = {
    "candidate": {"color": CANDIDATE, "linestyle": "-", "marker": "o", "linewidth": 1.8, "zorder": 4},
    "champion": {"color": CHAMPION, "linestyle": (0, (4, 1.5)), "marker": "s", "linewidth": 1.4, "markerfacecolor": SURFACE, "zorder": 3},
    "rule of thumb": {"color": RULE, "linestyle": (0, (1, 1.5)), "marker": "^", "linewidth": 1.4, "zorder": 2},
}
WIDTH, TEXT, LONGEST_NAME = 360, 11, 24


def blank(height: float, *, parts: tuple[float, ...] = (1,), shared: bool = True) -> tuple[Figure, Any]:
    """An empty figure with quiet axes; `parts` are the heights of axes below each other, which may share x."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    axes = figure.subplots(len(parts), 1, sharex=shared, height_ratios=parts)
    for each in figure.axes:
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(LINE)
        each.tick_params(colors=MUTED, labelsize=TEXT - 0.5, length=0)
        each.xaxis.label.set(color=MUTED, size=TEXT)
        each.yaxis.set_major_formatter("{x:,g}")
        each.xaxis.set_major_formatter("{x:,g}")
        each.tick_params(axis="x", pad=8)
        each.locator_params(nbins=5)
    return figure, axes


def small() -> dict[str, Any]:
    """How a plot's own heading looks: at the left, where an axis label would stand on its side."""
    return {"loc": "left", "color": MUTED, "fontsize": TEXT}


def legend(axes: Axes, *, columns: int) -> None:
    """The labelled lines, above the plot."""
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=TEXT,
        labelcolor=INK,
        borderpad=0,
    )


def label_some(axes: Axes, labels: list[str]) -> None:
    """Label about five positions, the first and the last among them."""
    step = max(1, -(-(len(labels) - 1) // 4))
    places = list(range(0, len(labels), step))
    axes.set_xticks(places, [labels[place] for place in places])


def short(name: object) -> str:
    """The name, cut where it would push the plot aside."""
    text = str(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def svg(figure: Figure, name: str, title: str, desc: str) -> str:
    """Draw the figure; ids begin with `name`, so that several plots live in one page."""
    import matplotlib as mpl
    from matplotlib.text import Text

    drawn = io.StringIO()
    # "$" is money here, not mathematics; and the browser has glyphs that matplotlib's own font has not.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": ["sans-serif"]}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(drawn, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    body = drawn.getvalue().partition("<svg")[2].partition(">")[2]
    # Matplotlib's style element would style the whole page.
    body = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r"(fill|stroke): (#0[1-9]0[1-9]0[1-9])", lambda found: f"{found[1]}: var({VARIABLES[found[2]]})", body)
    body = re.sub(r"font-family: [^;\"]+", "font-family: inherit", body)
    width, height = (72 * inches for inches in figure.get_size_inches())
    return (
        f'<svg class="plot" role="img" aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {width:g} {height:g}"'
        ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(desc)}</desc>{body}'
    )
