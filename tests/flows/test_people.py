"""What people decide: releasing a held version, going back, freeing a version; all of it recorded, with who and why."""

import contextlib
import json
import sqlite3

import commands
import pytest
from commands import Home, told

CONTRACT = """
from toy.contract import PROBLEM as TOY

def changed(part, **values):
    return type(part)(**{**dict(part), **values})

PROBLEM = changed(TOY, gate=changed(TOY.gate, min_rows=1_000_000))
STRICT = changed(TOY, gate=changed(TOY.gate, max_feature_auc=0.51))
"""


@pytest.fixture(scope="module")
def held(_server: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose gate wants more evidence than there is: two versions held, and a third rejected by a stricter contract."""
    home = commands.make_home(tmp_path_factory.mktemp("held"), problem="cautious.contract:PROBLEM", contract=CONTRACT)
    home.deliver()
    first = home.evergreen("run")
    assert (first.code, first.err) == (0, "")
    assert "gate HOLD" in " ".join(first.out.split())
    home.deliver(commands.LABELLED + commands.AHEAD, start=commands.LABELLED)
    assert home.evergreen("ingest").code == 0
    assert "HOLD" in home.evergreen("train").out
    assert "REJECT" in home.evergreen("train", EVERGREEN_PROBLEM="cautious.contract:STRICT").out
    assert [row["verdict"] for row in home.rows("decisions")] == ["hold", "hold", "reject"]
    return home


def moves(home: Home) -> list[tuple[str, int, str, str]]:
    done = [row for row in home.rows("promotions") if row["state"] == "done"]
    return [(row["kind"], row["version"], row["person"], row["reason"]) for row in done]


def aliases(home: Home) -> dict[str, int]:
    return home.state()["in MLflow"]


def test_people_release_go_back_and_free_versions(held: Home):
    """One story, because each decision rests on the one before."""
    assert aliases(held) == {}
    nothing = held.evergreen("predict")
    assert "there is no champion yet" in nothing.out

    released = held.evergreen("promote", "1", "--reason", "the season begins", "--by", "Ada")
    assert (released.code, released.err) == (0, "")
    assert "Version 1 serves, released by Ada." in released.out
    assert aliases(held) == {"champion": 1, "anchor": 1}

    told(
        held.evergreen("promote", "3", "--reason", "looks fine"),
        "Version 3 was judged REJECT; one that was judged HOLD or PROMOTE",
    )
    told(held.evergreen("promote", "9", "--reason", "looks fine"), "There is no version 9 of toy; registered: 1, 2, 3.")
    told(held.evergreen("rollback", "--reason", "bad feeling"), "There is nothing to roll back to")

    assert held.evergreen("promote", "2", "--reason", "newer", "--by", "Ada").code == 0
    assert aliases(held) == {"champion": 2, "previous": 1, "anchor": 1}
    assert held.evergreen("predict").code == 0
    assert set(held.published()["model_version"]) == {2}

    back = held.evergreen("rollback", "--reason", "calls doubled", "--by", "Grace")
    assert (back.code, back.err) == (0, "")
    assert "Version 1 serves again. To publish its predictions: evergreen predict\nVersion 2 is barred" in back.out
    assert aliases(held) == {"champion": 1, "previous": 2, "anchor": 1}
    told(held.evergreen("promote", "2", "--reason", "once more"), "Version 2 is barred since it was rolled back from (calls doubled)")
    told(held.evergreen("rollback", "--reason", "and back"), "Version 2 is barred")

    assert held.evergreen("predict").code == 0
    assert set(held.published()["model_version"]) == {1}

    assert "Version 2 may be promoted again." in held.evergreen("unbar", "2", "--reason", "the phones were broken", "--by", "Grace").out
    assert held.evergreen("promote", "2", "--reason", "all is well", "--by", "Ada").code == 0
    assert aliases(held) == {"champion": 2, "previous": 1, "anchor": 1}

    assert moves(held) == [
        ("release", 1, "Ada", "the season begins"),
        ("release", 2, "Ada", "newer"),
        ("rollback", 1, "Grace", "calls doubled"),
        ("release", 2, "Ada", "all is well"),
    ]
    history = held.evergreen("history")
    assert (history.code, history.err) == (0, "")
    story = [line.split(maxsplit=2)[1:] for line in history.out.splitlines()]
    assert [what for what, _ in story if what not in {"barred", "freed"}] == ["hold", "hold", "reject", *(kind for kind, *_ in moves(held))]
    for kind, version, person, reason in moves(held):
        assert [kind, f"version {version} by {person} (done): {reason}"] in story
    assert ["barred", "version 2 by Grace: calls doubled"] in story
    assert ["freed", "version 2 by Grace: the phones were broken"] in story


def plant(home: Home, statement: str, *values: str) -> None:
    """Change the journal by hand."""
    with contextlib.closing(sqlite3.connect(home.var / "journal.db")) as database, database:
        database.execute(statement, values)


def plant_findings(home: Home, decision: str, **outcomes: str) -> None:
    """A record as if parity and hygiene had answered so; the other findings stay."""
    (record,) = [json.loads(row["record"]) for row in home.rows("decisions") if row["decision"] == decision]
    kept = [finding for finding in record["findings"] if finding["check"] not in {"parity", "hygiene"}]
    record["findings"] = kept + [kept[0] | {"check": check, "outcome": outcome} for check, outcome in outcomes.items()]
    plant(home, "UPDATE decisions SET record = ? WHERE decision = ?", json.dumps(record), decision)


def test_a_person_overrules_the_gate_until_the_override_expires(held: Home):
    """The story goes on: version 2 serves, version 1 before it, and version 3 is refused."""
    decision = held.rows("decisions")[2]["decision"]
    overrule = ("promote", "3", "--override", "--reason", "the leak is known", "--by", "Ada", "--expires")
    plant_findings(held, decision, hygiene="pass")
    told(held.evergreen(*overrule, "14d"), "Version 3 cannot be overridden: its check parity was not judged")
    plant_findings(held, decision, hygiene="pass", parity="pass")
    done = held.evergreen(*overrule, "2099-12-31")
    assert (done.code, done.err) == (0, "")
    word = "Ada lets it serve through 2099-12-31 (UTC): the leak is known"
    assert word in done.out
    assert aliases(held) == {"champion": 3, "previous": 2, "anchor": 1}
    assert held.evergreen(*overrule, "2099-12-31").code == 0
    assert len(held.rows("overrides")) == 1

    assert word in held.evergreen("status").out
    history = held.evergreen("history").out
    assert word in history
    assert "  overruled  version 3 by Ada until 2100-01-01T00:00 UTC: " in history
    (index, page) = (held.var / "site" / "index.html", held.var / "site" / "decisions" / f"{decision}.html")
    assert word in index.read_text()
    assert "Overruled by Ada on 20" in page.read_text()
    (tag,) = [row["value"] for row in held.rows("model_version_tags", "mlflow.db") if row["key"] == "override"]
    assert word in tag
    assert any("Overruled by Ada" in kept.read_text() for kept in held.var.glob(f"mlartifacts/*/artifacts/decision/{decision}.html"))

    assert held.evergreen("freeze", "--reason", "audit", "--by", "Grace").code == 0
    again = held.evergreen("freeze", "--reason", "once more", "--by", "Ada")
    assert (again.code, again.err) == (0, "")
    assert "Promotions are frozen already; nothing was recorded." in again.out
    assert "by Grace: audit" in again.out
    told(held.evergreen("promote", "1", "--reason", "older"), "Version 1 is not promoted: promotions are frozen since", "by Grace (audit)")

    plant(held, "UPDATE overrides SET expires = ?", "2026-01-02T00:00:00+00:00")
    assert "by Ada expired after 2026-01-01 (UTC), and the version still serves. The next round goes" in held.evergreen("status").out
    ended = held.evergreen("run")
    assert (ended.code, ended.err) == (0, "")
    assert "the override of version 3 by Ada expired after 2026-01-01 (UTC): version 2 serves again, version 3 is barred" in ended.out
    assert "notice    Promotions are frozen since" in ended.out
    assert aliases(held) == {"champion": 2, "previous": 3, "anchor": 1}
    assert set(held.published()["model_version"]) == {2}
    assert moves(held)[-1][:3] == ("rollback", 2, "expiry")
    assert moves(held)[-1][3].startswith("the override of version 3 by Ada (the leak is known) expired")

    assert "Versions may be promoted again." in held.evergreen("unfreeze", "--reason", "audit is over", "--by", "Grace").out
    assert "Promotions are not frozen; nothing was recorded." in held.evergreen("unfreeze", "--reason", "again").out
    assert [(row["frozen"], row["person"]) for row in held.rows("freezes")] == [(1, "Grace"), (0, "Grace")]
    told(held.evergreen(*overrule, "14d"), "Version 3 is barred since it was rolled back from")
    history = held.evergreen("history").out
    assert "  frozen     by Grace: audit\n" in history
    assert "  unfrozen   by Grace: audit is over\n" in history


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--override",), "an override needs an end"),
        (("--expires", "14d"), "only an override ends"),
        (("--override", "--expires", "2020-01-01"), "2020-01-01 is over"),
        (("--override", "--expires", "soon"), "expected a date such as 2026-12-31"),
    ],
)
def test_an_override_has_an_end_that_is_to_come(home: Home, words: tuple[str, ...], complaint: str):
    ended = home.evergreen("promote", "1", "--reason", "why not", *words)
    assert ended.code == 2
    assert complaint in " ".join(ended.err.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())
    assert "Traceback" not in ended.err


def test_a_frozen_loop_trains_and_judges_and_promotes_what_waited_once_it_is_free(home: Home):
    assert home.evergreen("freeze", "--reason", "the season's last week", "--by", "Grace").code == 0
    home.deliver()
    first = home.evergreen("run")
    assert (first.code, first.err) == (0, "")
    assert "gate      PROMOTE" in first.out
    waits = "The PROMOTE of version 1 is not carried out while promotions are frozen."
    assert f"notice    {waits}" in first.out
    assert aliases(home) == {}
    again = home.evergreen("run").out
    assert "Nothing is new: every delivery that is complete has been judged, but not every verdict carried out." in again
    assert waits in again
    for command in ("status", "history"):
        assert waits in home.evergreen(command).out
    assert waits in (home.var / "site" / "index.html").read_text()

    free = home.evergreen("unfreeze", "--reason", "the season is over", "--by", "Grace")
    assert "The PROMOTE of version 1 is carried out by the next round." in free.out
    last = home.evergreen("run")
    assert (last.code, last.err) == (0, "")
    assert "gate      what waited is carried out: Version 1 is promoted" in last.out
    assert "notice" not in last.out
    assert aliases(home) == {"champion": 1, "anchor": 1}
    assert [(row["kind"], row["state"]) for row in home.rows("promotions")] == [("promotion", "intent"), ("promotion", "done")]
    assert len(home.rows("decisions")) == 1
    assert set(home.published()["model_version"]) == {1}


def test_the_contract_is_told_in_sentences(home: Home):
    shown = home.evergreen("contract", "show")
    assert (shown.code, shown.err) == (0, "")
    for words in ("Which orders will be returned?", "Call back whoever orders shoes.", "20", "10", "EUR", "25 days"):
        assert words in shown.out


def test_the_contract_is_tried_on_the_deliveries(bare_home: Home):
    bare_home.deliver()
    checked = bare_home.evergreen("contract", "check")
    assert (checked.code, checked.err) == (0, "")
    assert "4 sources can be read" in checked.out
    assert "The model can be stored without pickle" in checked.out
    assert bare_home.rows("deliveries") == []
    assert not (bare_home.var / "mlflow.db").exists()


def test_status_of_an_empty_home_says_so(home: Home):
    status = home.evergreen("status")
    assert (status.code, status.err) == (0, "")
    assert "toy: No model serves yet." in status.out
    home.deliver()
    assert "Deliveries wait to be judged. Run: evergreen ingest" in home.evergreen("status").out


def test_help_and_importing_the_commands_load_nothing_heavy(home: Home):
    heavy = "{'prefect', 'mlflow', 'great_expectations', 'pandas', 'sklearn', 'numpy', 'sqlalchemy'}"
    loaded = home.python(f"import sys, flows.cli; print(sorted({heavy} & set(sys.modules)))")
    assert (loaded.out, loaded.err) == ("[]\n", "")
    listed = home.evergreen_cold("--help")
    assert (listed.code, listed.err) == (0, "")
    for command in (
        "run",
        "ingest",
        "train",
        "predict",
        "status",
        "history",
        "promote",
        "rollback",
        "unbar",
        "freeze",
        "unfreeze",
        "contract",
    ):
        assert f" {command} " in listed.out
