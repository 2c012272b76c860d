"""Backing a home up, losing it, and going on with what was restored; by the commands themselves."""

import shutil
from pathlib import Path

import commands
import pandas as pd
import workspaces
from commands import Home, told


def test_a_lost_home_comes_back_and_goes_on(two_months, tmp_path: Path):
    home, file = two_months.home, tmp_path / "evergreen.zip"
    saved = home.evergreen("backup", str(file))
    assert (saved.code, saved.err) == (0, "")
    assert f"MB, are in {file}; it was read back and is whole." in saved.out
    told(home.evergreen("restore", str(file)), "There is something in", "Move it away, then restore again.")
    before, published = home.state(), home.published()
    away = home.var.rename(home.root / "away")
    try:
        back = home.evergreen("restore", str(file))
        assert (back.code, back.err) == (0, "")
        assert home.state() == before
        pd.testing.assert_frame_equal(home.published(), published)
        goes_on(home)
    finally:
        shutil.rmtree(home.var, ignore_errors=True)
        away.rename(home.var)
    assert home.state() == before


def goes_on(home: Home) -> None:
    champion = home.state()["champion"]
    status = home.evergreen("status")
    assert (status.code, status.err) == (0, "")
    assert f"toy: Version {champion} serves." in status.out
    again = home.evergreen("predict")
    assert (again.code, f"already published by version {champion}" in again.out) == (0, True)
    assert "Nothing is new" in home.evergreen("ingest").out
    if champion > 1:
        left = home.evergreen("rollback", "--reason", "looks wrong", "--by", "ann")
        assert (left.code, left.err) == (0, "")
        assert "serves again" in left.out
    home.deliver(85, start=70)
    more = home.evergreen("run")
    assert (more.code, more.err) == (0, "")


def test_what_cannot_be_backed_up_is_a_sentence(home: Home):
    told(home.evergreen("backup"), "There is nothing to back up")
    told(home.evergreen("backup", EVERGREEN_JOURNAL_URL="postgresql://db/evergreen"), "The journal is not in the home", "pg_dump")
    told(home.evergreen("restore", "none.zip"), "There is no none.zip.")


STRICT = """
from toy.contract import PROBLEM as TOY

def changed(part, **values):
    return type(part)(**{**dict(part), **values})

PROBLEM = TOY
STRICT = changed(TOY, gate=changed(TOY.gate, max_feature_auc=0.51))
"""
SPARING_LITTLE = {"EVERGREEN_KEEP_DECISIONS": "1", "EVERGREEN_KEEP_DAYS": "0"}


def test_after_a_clean_up_the_loop_goes_on(tmp_path: Path):
    home = commands.make_home(tmp_path, problem="strict.contract:PROBLEM", contract=STRICT)
    home.deliver()
    (home.var / "landing" / "orders" / "zz.csv").write_text("")
    assert home.evergreen("run").code == 0
    assert "REJECT" in home.evergreen("train", EVERGREEN_PROBLEM="strict.contract:STRICT").out
    home.deliver(70, start=60)
    (home.var / "landing" / "orders" / "zz.csv").unlink()
    assert home.evergreen("run").code == 0
    before = home.state()
    assert [row["verdict"] for row in home.rows("decisions")][:2] == ["promote", "reject"]

    spared = home.evergreen("clean")
    assert "There is nothing to remove. Spared are the candidates of the last 20 decisions" in spared.out
    dry = home.evergreen("clean", **SPARING_LITTLE)
    assert (dry.code, dry.err) == (0, "")
    assert "Nothing was removed. To remove these" in dry.out
    assert "refused or never judged, long ago" in dry.out
    assert home.rows("removals") == []
    with workspaces.somebody_at_work(home.var):
        told(home.evergreen("clean", "--yes", **SPARING_LITTLE), "Another evergreen command works here")
    done = home.evergreen("clean", "--yes", **SPARING_LITTLE)
    assert (done.code, done.err, "Removed: " in done.out) == (0, "", True)
    assert ("model", "2") in {(row["kind"], row["name"]) for row in home.rows("removals")}
    assert home.state() == before

    assert "removed    model 2: by evergreen clean: refused or never judged, long ago" in home.evergreen("history").out
    told(home.evergreen("promote", "2", "--reason", "r", "--override", "--expires", "3d"), "The model of version 2 is not there any more")
    assert home.evergreen("status").code == 0
    home.deliver(85, start=70)
    more = home.evergreen("run")
    assert (more.code, more.err) == (0, "")
    assert len(home.rows("decisions")) == len(before["decisions"]) + 1
    if len(home.state()["moves"]) > 1:
        assert "serves again" in home.evergreen("rollback", "--reason", "r", "--by", "ann").out
