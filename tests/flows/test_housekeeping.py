"""Backing a home up, losing it, and going on with what was restored; by the commands themselves."""

import shutil
from pathlib import Path

import pandas as pd
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
