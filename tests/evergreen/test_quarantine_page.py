from html.parser import HTMLParser
from pathlib import Path

import pytest
from deliveries import House, rows


class Page(HTMLParser):
    """The text of a page, its headings and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.headings, self.links, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data):
        self.words += data.split()
        if self.tags and self.tags[-1] in {"h1", "h2"} and data.strip():
            self.headings.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.journal.close()


def page_of(house: House) -> tuple[Page, Path]:
    (judged,) = house.ingest()
    return Page(judged.page.read_text()), judged.page


def test_the_page_tells_what_was_found_and_what_to_do(house: House):
    house.deliver("2026-02.csv", rows(99, 101, 99))
    page, _ = page_of(house)
    assert page.headings == [
        "gauge/2026-02.csv was refused",
        "What to do now",
        "Why it was refused",
        "Also unusual",
        "What is as expected",
        "The delivery",
    ]
    for sentence in (
        "It breaks 1 of 6 expectations.",
        "put a corrected file at landing/gauge/2026-02.csv , under the same name, and run again",
        "change expectations/gauge.json",
        "FAILED Expected: level lies between 0 and 100 Found: 1 exception, 33.3% of the values. For instance: 101",
        "WARNING Expected: the mean of level lies between 0 and 50 Found: 99.6667 .",
        "4 expectations met",
        "Rows 3 Judged 2026-03-01 03:00 UTC",
    ):
        assert sentence in page.text


def test_the_page_of_an_unreadable_file_says_why(house: House):
    house.deliver("a.csv", rows(1, 2)[:-3])
    page, _ = page_of(house)
    assert "The delivery is cut off: the last line has no end" in page.text
    assert "Why it was refused" not in page.headings


def test_nothing_in_a_delivery_becomes_markup(house: House):
    house.deliver("<script>a.csv", rows(1, 2).replace("level", "<script>b"))
    page, path = page_of(house)
    assert "script" not in page.tags
    assert "<script>a.csv" in page.text
    assert "&lt;script&gt;" in path.read_text()


def test_the_page_needs_no_network_and_its_links_lead_to_files(house: House):
    house.deliver("50% & more.csv", rows(1, 200))
    page, path = page_of(house)
    files = [link for link in page.links if not link.startswith("data:")]
    assert files == ["delivered/50%25%20%26%20more.csv", "reason.json", "result.json"]
    assert (path.parent / "delivered" / "50% & more.csv").exists()
    assert "://" not in path.read_text()
