"""`make site-check`, as far as it needs no browser: links, what the browser complains of, what axe-core says, and what is missing."""

import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from deploy import axe, site_check
from deploy.browser import Browser, BrowserError, find_browser
from deploy.page_rules import follow
from deploy.site_check import Finding, barriers, complaints, picture, tell

PAGE = '<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1 id="top">x</h1>{}</main></body></html>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages that lead to each other."""
    (tmp_path / "decisions").mkdir()
    (tmp_path / "index.html").write_text(PAGE.format('<a href="decisions/d%201.html#top">one</a>'))
    (tmp_path / "decisions" / "d 1.html").write_text(PAGE.format('<a href="../index.html">all</a> <a href="#top">up</a>'))
    return tmp_path


def put(site: Path, link: str) -> list[tuple[str, str]]:
    """What is found when a page deeper down has this link."""
    (site / "decisions" / "d 1.html").write_text(PAGE.format(link))
    return [(page.name, fault) for page, fault in follow(site)[1]]


def test_every_page_that_links_lead_to_is_found_once(site: Path):
    pages, faults = follow(site)
    assert ([page.name for page in pages], faults) == (["index.html", "d 1.html"], [])


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ('<a href="gone.html">x</a>', "leads to no file"),
        ('<a href="../index.html#gone">x</a>', "names a place that is not there"),
        ('<a href="../../secret.txt">x</a>', "leads out of the site"),
        ('<a href="https://example.org/">x</a>', "leads out of the site"),
        ('<a href="/index.html">x</a>', "leads out of the site"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(site: Path, link: str, told: str):
    (site.parent / "secret.txt").write_text("x")
    ((page, fault),) = put(site, link)
    assert page == "d 1.html"
    assert fault.endswith(told)


def event(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            event("Runtime.exceptionThrown", exceptionDetails={"text": "Uncaught", "exception": {"description": "x is not defined"}}),
            "x is not defined",
        ),
        (event("Runtime.consoleAPICalled", type="error", args=[{"value": "no"}]), "the console says: no"),
        (event("Log.entryAdded", entry={"level": "error", "text": "Refused to load"}), "Refused to load"),
        (event("Network.requestWillBeSent", request={"url": "https://example.org/x.js"}), "asks for https://example.org/x.js"),
        (event("Network.loadingFailed", errorText="net::ERR_FILE_NOT_FOUND"), "net::ERR_FILE_NOT_FOUND"),
        (event("Network.loadingFailed", errorText="", blockedReason="csp"), "csp"),
    ],
)
def test_what_the_browser_complains_of_is_a_fault(told: dict[str, Any], found: str):
    (fault,) = complaints([told])
    assert found in fault


def test_what_belongs_to_reading_a_page_from_disk_is_none():
    usual = [event("Page.loadEventFired", timestamp=1), event("Runtime.consoleAPICalled", type="log", args=[])]
    usual += [event("Network.requestWillBeSent", request={"url": address}) for address in ("file:///x/index.html", "data:,")]
    assert complaints([*usual, event("Log.entryAdded", entry={"level": "info", "text": "x"})]) == []


@pytest.mark.parametrize(("impact", "is_fault"), [("critical", True), ("serious", True), ("moderate", False), ("minor", False)])
def test_what_keeps_somebody_from_a_page_is_a_fault_and_less_is_told(impact: str, is_fault: bool, capsys: pytest.CaptureFixture[str]):
    found = [{"id": "image-alt", "impact": impact, "help": "Images must have text", "count": 2, "where": ["img"]}]
    ((what, stands),) = barriers(found)
    assert (what, stands) == (f"axe, {impact}: Images must have text (image-alt), 2 times: img", is_fault)
    assert tell([Finding("index.html", what, "390 dark", is_fault=stands)]) == int(is_fault)
    assert capsys.readouterr().out.startswith(f"{'FAULT' if is_fault else 'told'}  index.html (390 dark): axe")


def test_the_same_in_every_view_is_told_once(capsys: pytest.CaptureFixture[str]):
    views = [f"{width} {theme}" for width in (1280, 390) for theme in ("light", "dark")]
    assert tell([Finding("index.html", "it is too wide", view) for view in views]) == 1
    assert capsys.readouterr().out.splitlines() == ["FAULT  index.html: it is too wide", "1 faults, 0 only told"]
    assert tell([]) == 0
    assert capsys.readouterr().out == "Nothing was found.\n"


def test_pictures_of_different_views_have_different_names():
    names = {picture(page, view) for page in ("index.html", "decisions/d1.html") for view in ("1280 light", "390 dark")}
    assert names == {"index-1280-light.png", "index-390-dark.png", "decisions-d1-1280-light.png", "decisions-d1-390-dark.png"}


def archive(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(axe.SCRIPT)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_axe_is_used_as_it_was_pinned_and_no_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / f"axe-core-{axe.VERSION}.tgz"
    file.write_bytes(archive("pinned"))
    monkeypatch.setattr(axe, "INTEGRITY", axe.integrity(file.read_bytes()))
    assert axe.script_of(tmp_path) == "pinned"
    file.write_bytes(archive("another"))
    with pytest.raises(SystemExit, match="not sha512-"):
        axe.script_of(tmp_path)
    assert not file.exists()


def test_without_npm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt install npm"):
        axe.script_of(tmp_path)


@pytest.mark.parametrize(("words", "told"), [([], "neither Chromium nor Chrome"), (["--browser", "/no/such"], "/no/such is not here")])
def test_without_a_browser_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["site_check", *words])
    with pytest.raises(SystemExit, match=told) as ended:
        site_check.main()
    assert "apt install chromium" in str(ended.value)


def test_a_browser_is_found_by_its_name_or_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "google-chrome"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser() == find_browser(str(program)) == str(program)


def test_a_home_without_pages_is_told_before_a_browser_starts(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"has no index\.html: `evergreen site` writes it"):
        site_check.check(tmp_path, "/no/such", "", tmp_path / "out")


def talk(*messages: dict[str, Any]) -> Browser:
    """A browser that has said this already, and then has ended."""
    heard, said = os.pipe()
    os.write(said, b"".join(json.dumps(message).encode() + b"\0" for message in messages))
    os.close(said)
    return Browser(os.open(os.devnull, os.O_WRONLY), heard)


def test_answers_are_told_from_events_which_are_kept():
    event_of_a_tab = {"method": "Page.loadEventFired", "sessionId": "s"}
    browser = talk(event_of_a_tab, {"id": 1, "result": {"value": 3}}, {"id": 2, "error": {"message": "no such method"}})
    assert browser.send("x") == {"value": 3}
    browser.wait("Page.loadEventFired", "s")
    assert browser.taken() == [event_of_a_tab]
    with pytest.raises(BrowserError, match="y: no such method"):
        browser.send("y")
    with pytest.raises(BrowserError, match="ended before it answered z"):
        browser.send("z")
    os.close(browser.asked)
    os.close(browser.answered)
