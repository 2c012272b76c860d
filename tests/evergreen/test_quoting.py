"""What is quoted of a delivery is shown to whoever works with it, and is nowhere on the site."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from decision_records import make_record
from hypothesis import given
from hypothesis import strategies as st
from toy.contract import PROBLEM
from workspaces import NOW, deliver, open_space, with_source

from evergreen import journal as tables
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.control import refresh_site
from evergreen.data.batches import Intake, Judged, ingest_one
from evergreen.data.checkups import UNLIKE
from evergreen.data.joins import join_sources
from evergreen.data.landing import find
from evergreen.errors import DataError, JoinError
from evergreen.monitoring import doctor
from evergreen.monitoring.alerts import run_died, run_failed
from evergreen.monitoring.channels import Channels
from evergreen.monitoring.telling import Memory, tell
from evergreen.quoting import BEGIN, END, WITHHELD, apart, in_words, public, quoted, revealed, shortened, withheld
from evergreen.report import quarantine
from evergreen.report.site import write_decision
from evergreen.report.summary import summarize
from evergreen.workspace import Workspace

PERSON = "Jane Doe SSN 078-05-1120"
AWKWARD = f"x; and every; `y`. Nothing has {END}{BEGIN} it: {PERSON}"


def unreadable(path: Path) -> pd.DataFrame:
    raise ValueError(f"could not convert string to float: '{PERSON}'")


def open_with(root: Path, problem: Problem = PROBLEM) -> Workspace:
    return open_space(root, problem=problem)


def ingest(space: Workspace) -> Judged:
    """Judge the one delivery of customers as a round does."""
    settings, problem = space.settings, space.problem
    intake = Intake(
        settings.root, settings.expectations, space.journal, quarantine.render, doctor.Doctor(settings.root, space.journal, problem)
    )
    (ready,) = [one for one in find(settings.landing, problem, settle_seconds=0, now=NOW).ready if one.source == "customers"]
    return ingest_one(ready, problem.source("customers"), intake=intake, now=NOW)


def told_of(space: Workspace) -> str:
    """What the console says of all that holds."""
    said: list[str] = []
    tell(
        Memory(space.journal, space.settings.root),
        find_alerts(space, NOW),
        channels=Channels(said.append, ()),
        cooldown=space.problem.alerts.cooldown,
        now=NOW,
    )
    return "\n".join(said)


def site_of(space: Workspace) -> str:
    """All pages and records of the site."""
    index = refresh_site(space, [])
    return "\n".join(path.read_text() for path in sorted(index.parent.rglob("*")) if path.is_file())


def broken_check(*_: Any) -> Any:
    raise ValueError(f"cannot reindex on {PERSON}")


CUSTOMERS = pd.DataFrame({"customer_id": ["anna", "bert"], "region": ["north", "south"]})
TWICE = pd.DataFrame({"customer_id": [AWKWARD, AWKWARD], "region": ["north", "south"]})
HEADLESS = pd.DataFrame({PERSON: ["anna"], "1": ["north"]})


@pytest.mark.parametrize(
    ("problem", "rows", "is_checked", "said"),
    [
        (with_source("customers", read=unreadable), CUSTOMERS, True, "cannot be read: ValueError: "),
        (PROBLEM, TWICE, True, "not so for 2 (100.00%), for instance "),
        (PROBLEM, CUSTOMERS, False, f"{UNLIKE}: its health cannot be checked: ValueError: "),
        (PROBLEM, HEADLESS, True, "which names its rows; it has the columns "),
    ],
    ids=["a reader's error", "a value with the words of a sentence", "a check-up that fails", "a file without header"],
)
def test_a_value_of_a_refused_delivery_is_on_the_console_and_in_the_quarantine_and_not_on_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Problem, rows: pd.DataFrame, is_checked: bool, said: str
):
    if not is_checked:
        monkeypatch.setattr(doctor, "profile", broken_check)
    space = open_with(tmp_path, problem)
    deliver(space, "customers", "a.csv", rows)
    judged = ingest(space)
    assert judged.outcome == "quarantined"
    assert said in judged.reason
    assert PERSON in judged.reason
    assert judged.page is not None
    assert PERSON in judged.page.read_text()
    assert PERSON in (judged.page.parent / "reason.json").read_text()
    assert PERSON in told_of(space)
    site = site_of(space)
    assert PERSON not in site
    assert "078-05" not in site
    assert site.count(WITHHELD) >= 3
    whole = quarantine.whole_page(space.journal.last(tables.deliveries))
    assert (space.settings.root / whole) == judged.page
    (page,) = (space.settings.site / "quarantine").glob("*.html")
    assert page.read_text().count(f"The page that does is <code>{whole}</code> in the home") == 1
    assert "The page that does is" not in judged.page.read_text()
    space.journal.close()


def test_the_examples_of_a_failed_join_are_told_and_are_not_on_the_site(tmp_path: Path):
    space = open_with(tmp_path)
    tables_ = {name: pd.DataFrame() for name in ("stock", "outcomes")}
    orders = pd.DataFrame({"order_id": [AWKWARD, AWKWARD], "ordered_at": pd.to_datetime(["2026-01-01T00:00Z"] * 2)})
    with pytest.raises(JoinError) as error:
        join_sources(space.problem, {**tables_, "orders": orders, "customers": CUSTOMERS})
    said: list[str] = []
    memory, cooldown = Memory(space.journal, space.settings.root), space.problem.alerts.cooldown
    alerts = [run_failed(space.problem, "cycle deliveries", error.value), run_failed(space.problem, "look", ValueError(f"no {PERSON}"))]
    alerts.append(run_died(space.problem, "cycle", f"ValueError: {PERSON}"))
    tell(memory, alerts, channels=Channels(said.append, ()), cooldown=cooldown, now=NOW)
    assert "\n".join(said).count(PERSON) == 3
    assert "so rows would multiply; for example order_id x; and every" in said[0]
    site = site_of(space)
    assert PERSON not in site
    assert f"so rows would multiply; for example {WITHHELD}. Expected each key once" in site
    assert f"The run look failed: ValueError: {WITHHELD}." in site
    space.journal.close()


@pytest.mark.parametrize(
    "reason",
    [
        f"cannot be read: ValueError: could not convert string to float: '{PERSON}'",
        f"breaks 2 expectations: `a` is known: not so for 1 (50.00%), for instance x; and {PERSON}; and `b` is known: not so",
        f"{UNLIKE}: its health cannot be checked: ValueError: {PERSON}",
    ],
)
def test_what_an_earlier_version_wrote_does_not_leak_either(tmp_path: Path, reason: str):
    space = open_with(tmp_path)
    path = deliver(space, "customers", "a.csv", CUSTOMERS)
    row = {
        "source": "customers",
        "name": "a.csv",
        "delivery": "ab" * 32,
        "stat": "",
        "rules": "r",
        "outcome": "quarantined",
        "reason": reason,
    }
    space.journal.add(tables.deliveries, **row, batch=None, newest=None, row_count=None, warnings=[], after=0)
    facts = {"findings": [{"pillar": "schema", "state": "fail", "sentence": f"it {reason}"}]}
    space.journal.add(tables.checkups, checkup="look 0", source="customers", name="look", delivery="s", facts=facts)
    texts = [f"The delivery customers/a.csv is in quarantine: {reason}. Nothing has", f"The run x failed: ValueError: {PERSON}."]
    texts.append(f"The run x failed: JoinError: Without one, for example: {PERSON}. Is a delivery of stock missing?")
    for number, text in enumerate(texts):
        space.journal.add(tables.alerts, cause=str(number), kind="failure", text=f"{text} Affected: us. Run: evergreen run", after=0)
    page = space.settings.root / "quarantine" / "customers" / ("ab" * 8) / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<header></header><!--way back-->The delivery {reason}.")
    assert path.exists()
    assert PERSON in told_of(space)
    site = site_of(space)
    assert PERSON not in site
    assert "customers/a.csv was refused" in site
    assert "The run x failed: JoinError: Without one, for example:" in site
    space.journal.close()


def test_a_decision_is_published_without_values(tmp_path: Path):
    finding, old = f"`a` is known: not so for 1 (1.00%), for instance {quoted(PERSON)}", f"`b` is known: not so, for instance {PERSON}"
    record = make_record()
    record = record | {"why": [finding], "facts": record["facts"] | {"unusual training data": [finding, old]}}
    page, file = write_decision(tmp_path, record, PROBLEM)
    assert PERSON not in page.read_text() + file.read_text()
    assert json.loads(file.read_text())["why"] == [withheld(finding)]


@given(st.text(), st.text(alphabet=f"a{BEGIN}{END}\N{WHITE CONCAVE-SIDED DIAMOND}012 "))
def test_a_value_is_found_again_whatever_it_holds(one: str, other: str):
    text = f"it is {quoted(one)}, not {quoted(other)}."
    assert revealed(text) == f"it is {one}, not {other}."
    assert withheld(text) == f"it is {WITHHELD}, not {WITHHELD}."
    assert revealed(quoted(quoted(one))) == quoted(one)


@given(st.integers(1, 120))
def test_a_value_that_is_cut_stays_withheld(most: int):
    text = f"The delivery is bad: {quoted('secret ' * 9)} and so on {quoted('secret')}."
    for cut in (text[:most], shortened(text, most)):
        assert "secre" not in withheld(cut)
    assert shortened(text, 60).endswith(f"…{END}")


def test_an_error_of_ours_speaks_for_itself_and_any_other_is_a_value():
    ours: Callable[[str], Exception] = DataError
    assert in_words(ours(f"it is {quoted('Ada')},\nnot so")) == f"it is {quoted('Ada')}, not so"
    assert in_words(ValueError("Ada\n Lovelace")) == quoted("Ada Lovelace")
    assert apart("Promotions are frozen: see for yourself.") == "Promotions are frozen: see for yourself."
    assert public({"a": [quoted(1), 2, (quoted(3),)]}) == {"a": [WITHHELD, 2, (WITHHELD,)]}


def test_the_summary_of_a_job_has_no_value_of_a_delivery():
    reason = f"it is no number: {quoted('Ada 078-05-1120')}"
    text = summarize(None, deliveries=[{"source": "orders", "name": "1.csv", "outcome": "quarantined", "reason": reason, "row_count": 9}])
    assert "it is no number" in text
    assert "078-05-1120" not in text
