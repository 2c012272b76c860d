"""`make site-check` opens the pages of a home in a real browser: links, errors, width, keyboard, and whether everybody can read them."""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from deploy import axe, probes
from deploy.browser import Browser, find_browser, running, tab, value_of
from deploy.page_rules import faults_of, follow

WIDTHS, HEIGHT, THEMES = (1280, 390), 900, ("light", "dark")
TOY_SECONDS = 600
STANDS = frozenset({"serious", "critical"})
"""What axe-core calls so keeps somebody from a page; less is only told."""
AT_HOME = ("file:", "data:", "about:", "blob:")


@dataclass(frozen=True)
class Finding:
    """Something about a page; a fault unless it is only told."""

    page: str
    what: str
    view: str = ""
    """Width and theme; empty where it is so in all."""
    is_fault: bool = True


def main() -> None:
    """Check every page that index.html leads to; ends with 1 where there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", default="", help="a home whose site is checked; without it one of the toy problem is made")
    parser.add_argument("--browser", default="", help="Chromium or Chrome, by name or path")
    parser.add_argument("--out", type=Path, default=Path("out/site"), help="where pictures go")
    options = parser.parse_args()
    program = find_browser(options.browser)
    if not program:
        wanted = f"{options.browser} is not here" if options.browser else "There is neither Chromium nor Chrome here"
        raise SystemExit(
            f"{wanted}. Install one (on Debian and Ubuntu: apt install chromium), or name it: make site-check BROWSER=/path/to/it"
        )
    script = axe.script_of()
    if options.home:
        found = check(Path(options.home) / "site", program, script, options.out)
    else:
        print("Making a home of the toy problem (about a minute)", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found = check(toy_site(Path(folder)), program, script, options.out)
    sys.exit(tell(found))


def toy_site(folder: Path) -> Path:
    """The site of a new home in which everything has happened once."""
    done = subprocess.run(
        [sys.executable, "tests/toy_home.py", str(folder)], capture_output=True, text=True, timeout=TOY_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"The toy problem's home could not be made:\n{done.stdout}{done.stderr}")
    return Path(done.stdout.splitlines()[-1])


def check(site: Path, program: str, script: str, out: Path) -> list[Finding]:
    """All findings of a site; pictures of each page, at each width and in each theme, are left in `out`."""
    site = site.resolve()
    if not (site / "index.html").is_file():
        raise SystemExit(f"{site} has no index.html: `evergreen site` writes it, in the home that HOME_FOLDER names")
    out.mkdir(parents=True, exist_ok=True)
    for earlier in out.glob("*.png"):
        earlier.unlink()
    pages, dead = follow(site)
    found = [Finding(str(page.relative_to(site)), fault) for page, fault in dead]
    found += [Finding(str(page.relative_to(site)), fault) for page in pages for fault in faults_of(page.read_text())]
    with running(program) as browser:
        for page, width, theme in product(pages, WIDTHS, THEMES):
            name, view = str(page.relative_to(site)), f"{width} {theme}"
            found += [
                Finding(name, what, view, is_fault)
                for what, is_fault in look(browser, page, (width, theme), script, out / picture(name, view))
            ]
    print(f"{len(pages)} pages, at {' and '.join(map(str, WIDTHS))} pixels, {' and '.join(THEMES)}: pictures are in {out}")
    return found


def picture(page: str, view: str) -> str:
    """The name of a page's picture."""
    stem = page.removesuffix(".html").replace("/", "-")
    return f"{stem[:40]}-{view.replace(' ', '-')}.png"


def look(browser: Browser, page: Path, view: tuple[int, str], script: str, image: Path) -> list[tuple[str, bool]]:
    """What is found in one page at one width and in one theme, each with whether it is a fault."""
    width, theme = view
    with tab(browser) as session:
        _set(browser, session, width, theme)
        browser.taken()
        browser.send("Page.navigate", session, url=page.as_uri())
        browser.wait("Page.loadEventFired", session)
        found = [(what, True) for what in wide(browser, session, width)]
        image.write_bytes(shot(browser, session, width))
        found += [(what, True) for what in typed(browser, session)]
        value_of(browser, session, probes.OPEN)
        found += [(f"{what}, with everything unfolded", True) for what in wide(browser, session, width)]
        found += [(what, True) for what in complaints(browser.taken())]
        value_of(browser, session, f"{script}; true")
        return found + list(barriers(value_of(browser, session, probes.AXE)))


def wide(browser: Browser, session: str, width: int) -> list[str]:
    """Whether the page is wider than its window, and what sticks out."""
    reached = value_of(browser, session, probes.WIDTH)
    return [f"the page is {reached} pixels wide: {'; '.join(value_of(browser, session, probes.WIDEST))}"] if reached > width else []


def typed(browser: Browser, session: str) -> list[str]:
    """What the keyboard does not reach, or reaches without a sign of it."""
    for _ in range(value_of(browser, session, probes.WATCH) + 2):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", session, type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    told = value_of(browser, session, probes.MISSED)
    faults = [f"the keyboard does not reach {one}" for one in told["missed"]]
    faults += [f"nothing shows that the keyboard is at {one}" for one in told["unseen"]]
    return faults + [f"not every browser lets the keyboard move {one}" for one in told["unlabelled"]]


def complaints(events: list[dict[str, Any]]) -> list[str]:
    """What the browser complained of: errors, exceptions, what was refused or not found, and whatever was asked of a network."""
    faults = []
    for event in events:
        told = event.get("params", {})
        match event["method"]:
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                faults.append(f"a script failed: {details.get('exception', {}).get('description', details['text'])}")
            case "Runtime.consoleAPICalled" if told["type"] in {"error", "assert", "warning"}:
                faults.append(f"the console says: {' '.join(str(one.get('value', one.get('description'))) for one in told['args'])}")
            case "Log.entryAdded" if told["entry"]["level"] in {"error", "warning"}:
                faults.append(f"the console says: {told['entry']['text']}")
            case "Network.requestWillBeSent" if not told["request"]["url"].startswith(AT_HOME):
                faults.append(f"the page asks for {told['request']['url']}")
            case "Network.loadingFailed":
                faults.append(f"something was not loaded: {told['errorText']} {told.get('blockedReason', '')}".rstrip())
    return faults


def barriers(found: list[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    """What axe-core found, each with whether it stands in somebody's way."""
    for one in found:
        yield f"axe, {one['impact']}: {one['help']} ({one['id']}), {one['count']} times: {'; '.join(one['where'])}", one["impact"] in STANDS


def tell(found: list[Finding]) -> int:
    """Say what was found, the same of several views once; returns the process's exit code."""
    views: dict[tuple[bool, str, str], list[str]] = {}
    for one in found:
        views.setdefault((one.is_fault, one.page, one.what), []).append(one.view)
    for (is_fault, page, what), seen in views.items():
        where = f" ({', '.join(seen)})" if any(seen) and len(seen) < len(WIDTHS) * len(THEMES) else ""
        print(f"{'FAULT' if is_fault else 'told'}  {page}{where}: {what}")
    counts = Counter(is_fault for is_fault, *_ in views)
    print(f"{counts[True]} faults, {counts[False]} only told" if views else "Nothing was found.")
    return 1 if counts[True] else 0


def shot(browser: Browser, session: str, width: int) -> bytes:
    """A picture of the whole page."""
    height = value_of(browser, session, probes.HEIGHT)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    taken = browser.send("Page.captureScreenshot", session, format="png", captureBeyondViewport=True, clip=clip)
    return base64.b64decode(taken["data"])


def _set(browser: Browser, session: str, width: int, theme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.send("Emulation.setEmulatedMedia", session, media="screen", features=features)
    browser.send("Emulation.setDeviceMetricsOverride", session, width=width, height=HEIGHT, deviceScaleFactor=1, mobile=False)


if __name__ == "__main__":
    main()
