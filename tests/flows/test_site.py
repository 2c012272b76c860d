"""The pages that people read, at /site of a real server: what is there, what is not, and what never leaves the folder."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked import row
from moves import four_versions, given
from serving import Answer, Served, served

KEY = "grün & geheim"
PAGE = "<!doctype html><title>Overview</title>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = four_versions(tmp_path_factory.mktemp("site") / "home")
    given(registry, champion=1, previous=None, anchor=1, move="first")
    return registry.settings.root


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Served]:
    """A server without a key; its site has pages, and things that must not leave."""
    site = home / "site"
    (site / "decisions").mkdir(parents=True)
    (site / "index.html").write_text(PAGE)
    (site / "decisions" / "abc.json").write_text('{"verdict": "hold"}')
    (site / "decisions" / "plot.svg").write_text("<svg/>")
    (site / ".index.html.7.tmp").write_text("half")
    (site / "out.html").symlink_to(home / "journal.db")
    (site / "away").symlink_to(home / "landing")
    (home / "landing").mkdir()
    (home / "landing" / "secret.html").write_text("secret")
    (home / "site-secret.html").write_text("secret")
    with served(home) as server:
        server.ready()
        yield server
        code, _, err = server.end()
        assert (code, err) == (0, "")


def basic(password: str) -> dict[str, str]:
    return {"authorization": f"Basic {b64encode(f'ann:{password}'.encode()).decode()}"}


def test_a_page_is_there_whole_safe_and_asked_for_again_each_time(server: Served):
    answer = server.ask("/site/")
    assert (answer.status, answer.body.decode(), answer.headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script" not in answer.headers["content-security-policy"]
    kept = [answer.headers[name] for name in ("x-content-type-options", "referrer-policy", "cache-control")]
    assert kept == ["nosniff", "no-referrer", "no-cache"]
    assert server.ask("/site/index.html").body == answer.body


@pytest.mark.parametrize(("path", "kind"), [("decisions/abc.json", "application/json"), ("decisions/plot.svg", "image/svg+xml")])
def test_each_kind_of_file_says_what_it_is(server: Served, path: str, kind: str):
    answer = server.ask(f"/site/{path}")
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_page_that_has_not_changed_is_not_sent_again(server: Served, home: Path):
    tag = server.ask("/site/").headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = server.ask("/site/", headers={"if-none-match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert server.ask("/site/", headers={"if-none-match": '"other"'}).status == 200
    (home / "site" / "index.html").write_text(f"{PAGE}<p>more</p>")
    assert server.ask("/site/", headers={"if-none-match": tag}).body.endswith(b"<p>more</p>")
    (home / "site" / "index.html").write_text(PAGE)


def test_whoever_asks_for_the_head_gets_the_head(server: Served):
    answer = server.ask("/site/", method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", str(len(PAGE)))


@pytest.mark.parametrize(
    "path",
    [
        "../site-secret.html",
        "../journal.db",
        "decisions/../../journal.db",
        "%2e%2e/journal.db",
        "..%2fjournal.db",
        "decisions/%2e%2e/%2e%2e/journal.db",
        "%252e%252e/journal.db",
        "{root}/journal.db",
        "%2f{root}/journal.db",
        "..\\journal.db",
        "out.html",
        "away/secret.html",
        ".index.html.7.tmp",
        "decisions",
        "decisions/",
        "index.html%00.html",
        "index.html/",
        "a" * 5_000,
    ],
)
def test_nothing_leaves_the_folder_nor_is_anything_hidden_or_unfinished_shown(server: Served, home: Path, path: str):
    answer = server.ask(f"/site/{path.replace('{root}', str(home))}")
    assert answer.status in {400, 404}
    assert not {b"secret", b"half", b"SQLite"} & {part for part in (b"secret", b"half", b"SQLite") if part in answer.body[:16]}
    assert answer.status == 400 or b'<a href="/site/">The overview</a>' in answer.body


def test_what_is_asked_for_is_quoted_and_not_run(server: Served):
    assert b"<script>" not in server.ask("/site/%3Cscript%3E").body


def test_no_other_method_is_taken(server: Served):
    assert {server.ask("/site/", method=method).status for method in ("POST", "PUT", "DELETE")} == {405}


@pytest.mark.parametrize("path", ["/", "/site"])
def test_whoever_comes_to_the_door_is_shown_in(server: Served, path: str):
    answer = server.ask(path)
    assert (answer.status, answer.headers["location"]) == (307, "/site/")


def test_before_the_first_page_words_say_how_to_get_one(home: Path, server: Served):
    (home / "site").rename(home / "aside")
    try:
        answer = server.ask("/site/")
    finally:
        (home / "aside").rename(home / "site")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"evergreen run" in answer.body


def test_a_key_is_wanted_for_pages_and_for_what_is_told_of_money(home: Path, server: Served):
    server.end()
    said = [{"x-api-key": KEY.encode()}, {"authorization": f"Bearer {KEY}".encode()}, basic(KEY)]
    wrong = [{}, basic("another"), basic(""), {"authorization": "Basic !"}, {"authorization": "Basic"}, basic("") | {"x-api-key": "x"}]
    with served(home, EVERGREEN_API_KEY=KEY) as locked:
        locked.ready()
        for headers in wrong:
            refused: Answer = locked.ask("/site/", headers=headers)
            assert (refused.status, refused.headers["www-authenticate"][:5]) == (401, "Basic")
            assert PAGE.encode() not in refused.body
            assert locked.ask("/site/nothing", headers=headers).status == 401
            told = locked.ask("/metrics", headers=headers).body
            assert b"evergreen_ready 1.0" in told
            assert b"evergreen_metrics_up" not in told
        for headers in said:
            assert locked.ask("/site/", headers=headers).body == PAGE.encode()
        for headers in said[:2]:
            assert b"evergreen_metrics_up 1.0" in locked.ask("/metrics", headers=headers).body
        asking = {"content-type": "application/json"}
        assert locked.ask("/predict", row(), headers=basic(KEY) | asking).status == 401  # a password is for pages only
        assert locked.ask("/version", headers=basic(KEY)).status == 401


def test_it_can_be_left_out(home: Path, server: Served):
    server.end()
    with served(home, EVERGREEN_SERVE_SITE="false") as without:
        without.ready()
        assert {without.ask(path).status for path in ("/site/", "/site/index.html", "/site", "/")} == {404}


def test_a_journal_that_is_broken_is_told_as_a_number_beside_the_counters(home: Path, server: Served):
    server.end()
    with served(home) as last:
        last.ready()
        journal = home / "journal.db"
        for left in home.glob("journal.db-*"):
            left.unlink()
        journal.write_bytes(b"no database")
        answer = last.ask("/metrics")
    assert answer.status == 200
    assert b"evergreen_metrics_up 0.0" in answer.body
    assert b"evergreen_ready 1.0" in answer.body
    assert b"evergreen_frozen" not in answer.body
