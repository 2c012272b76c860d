"""What people decide: releasing a held version, going back, freeing a version; all of it recorded, with who and why."""

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


def test_the_contract_is_told_in_sentences(home: Home):
    shown = home.evergreen("contract", "show")
    assert (shown.code, shown.err) == (0, "")
    for words in ("Which orders will be returned?", "Call back whoever orders shoes.", "20", "10", "EUR", "25 days"):
        assert words in shown.out


def test_the_contract_is_tried_on_the_deliveries(home: Home):
    home.deliver()
    checked = home.evergreen("contract", "check")
    assert (checked.code, checked.err) == (0, "")
    assert "4 sources can be read" in checked.out
    assert "The model can be stored without pickle" in checked.out
    assert home.rows("deliveries") == []
    assert not (home.var / "mlflow.db").exists()


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
    for command in ("run", "ingest", "train", "predict", "status", "history", "promote", "rollback", "unbar", "contract"):
        assert f" {command} " in listed.out
