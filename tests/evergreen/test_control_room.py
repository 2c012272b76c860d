"""The control room answers within a minute: what serves, is it good, are the data well, what was decided and why, what comes next."""

import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from decision_records import make_record
from room_views import AT, cell, health, page, service, window, worth
from told_backtests import planted_backtest
from toy.contract import PROBLEM
from workspaces import changed, deliver, ingest

from evergreen import journal as tables
from evergreen.brakes import freeze
from evergreen.control import ahead, freshen_site, gather, refresh_site
from evergreen.files import write_json
from evergreen.gate.decision import Verdict
from evergreen.monitoring.alerts import RESOLVED
from evergreen.monitoring.pillars import Cell
from evergreen.quoting import apart
from evergreen.report import rooms
from evergreen.report.service_plots import realized_and_estimated, saved_so_far
from evergreen.report.site import Overview, render_overview
from evergreen.workspace import Workspace

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)


def test_the_data_are_well_when_every_newest_state_is():
    told = rooms.health_words(Overview(health=health(orders=[cell("fail"), cell("ok")], stock=[cell("ok")])))
    assert (told["tone"], told["word"], told["said"]) == ("good", "Well", "in all 2 sources")
    odd = rooms.health_words(Overview(health=health(orders=[cell("ok")], stock=[cell("warn")])))
    assert (odd["tone"], odd["said"]) == ("good", "in all 2 sources; unusual, and accepted: stock (volume)")


def test_the_data_are_not_well_when_a_newest_state_fails():
    told = rooms.health_words(Overview(health=health(orders=[cell("ok"), cell("fail", refused=True)], stock=[cell("ok")])))
    assert (told["tone"], told["word"]) == ("bad", "orders is not well")
    assert told["said"] == "orders (volume). What was refused reaches no model."
    both = rooms.health_words(Overview(health=health(orders=[cell("fail")], stock=[cell("fail")])))
    assert (both["word"], both["said"]) == ("2 sources are not well", "orders (volume), stock (volume).")
    assert rooms.health_words(Overview())["word"] == "Not known yet"


def test_the_matrix_shows_each_pillar_with_its_newest_states_and_the_page_of_what_was_refused():
    view = Overview(health=health(orders=[cell("ok")] * 11 + [cell("fail", refused=True, said="it has `3` rows")]))
    (row,) = rooms.matrix(view)
    assert [one["state"] for one in row["cells"]] == [None, "fail", None, None, None, None]
    assert row["cells"][1]["said"] == "The last 12: 11 well, 1 fails"
    written = render_overview(view, PROBLEM)
    assert f'<a href="quarantine/orders-{"ab" * 8}.html">fails</a>' in written
    assert "it has <code>3</code> rows." in written
    assert written.count('<svg class="mark fail"') == 1
    assert written.count('<svg class="mark ok"') == 11


def test_each_mark_says_whose_it_is_and_when_and_the_caption_which_time_they_stand_for():
    cells = [Cell("ok", ("as it is",), AT, f"2026-0{month}.csv", f"{month}" * 64) for month in (3, 4)]
    cells += [Cell("fail", ("late",), AT, "look", "s" * 64), Cell("fail", ("bad",), AT, "2026-05.csv", "5" * 64, is_refused=True)]
    rows = [
        {"source": "orders", "delivery": f"{month}" * 64, "newest": f"2026-0{month}-30T23:00:00+00:00", "outcome": "published"}
        | {"name": "", "reason": "", "row_count": 9, "at": AT}
        for month in (3, 4)
    ]
    view = Overview(health=health(orders=cells), deliveries=rows)
    written = render_overview(view, PROBLEM)
    assert re.findall(r"<title>(.*?)</title>", written)[1:] == [
        "2026-03.csv, rows to 2026-03-30, seen 2026-06-01 03:00 UTC: well",
        "2026-04.csv, rows to 2026-04-30, seen 2026-06-01 03:00 UTC: well",
        "All that was accepted, seen 2026-06-01 03:00 UTC: fails",
        "2026-05.csv, seen 2026-06-01 03:00 UTC: fails",
    ]
    assert "the deliveries&#39; newest rows are of 2026-03-30 to 2026-04-30; whoever points at a mark is told its date</caption>" in written
    assert rooms.matrix_span(Overview(health=health(orders=cells))) == ""
    assert rooms.matrix_span(Overview(health=health(orders=cells[:1]), deliveries=rows)) == "the deliveries' newest rows are of 2026-03-30"


def test_drift_and_decay_of_one_snapshot_stand_in_one_row_the_newest_first():
    def signal(seq: int, kind: str, snapshot: str, found: bool, **more: Any) -> dict[str, Any]:
        facts = {"champion": 3, "snapshot": snapshot, "found": found, "is_judged": True, "sentence": f"{kind} {snapshot}."} | more
        return {"seq": seq, "kind": kind, "window": f"2026-0{seq}-01T00:00:00+00:00", "facts": facts}

    moved = [{"feature": "amount", "is_drifted": True}, {"feature": "product", "is_drifted": False}]
    rows = [signal(1, "drift", "a", False, features=[]), signal(3, "drift", "b", True, features=moved), signal(2, "decay", "a", True)]
    rows.append(signal(4, "decay", "b", False, is_judged=False))
    newest, before = rooms.changes(Overview(signals=rows))
    back = [*rows, signal(5, "drift", "a", False, features=[])]
    assert rooms.changes(Overview(signals=back))[0]["decay"]["state"] == "found"  # a state that comes back is the newest again
    assert (newest["window"][:10], newest["drift"]["state"], newest["drift"]["moved"], newest["decay"]["state"]) == (
        *("2026-04-01", "found", ["amount"], "not judged"),
    )
    assert (before["drift"]["state"], before["decay"]["state"]) == ("none", "found")


def test_what_is_wrong_now_and_what_people_were_told_are_listed():
    alerts = [("late", "The source stock is late.", "evergreen status")]
    said = page(alerts=alerts, told=[(AT, "late", "The source stock is late.")], ahead=["The schedule asks at `03:30`."])
    assert "Late. The source stock is late. evergreen status" in said
    assert "2026-06-01 03:00 UTC late The source stock is late." in said
    assert "The schedule asks at 03:30." in said
    quiet = page()
    assert "Nothing that people are told of holds now." in quiet
    assert "Nobody had to be told of anything." in quiet


def test_only_the_newest_alerts_are_listed():
    told = [(AT, "late", f"number {number}") for number in range(30)]
    said = page(told=told)
    assert "number 29" in said
    assert "number 9 " not in said
    assert said.index("number 29") < said.index("number 11")


def test_the_last_decision_says_why_and_a_refusal_gives_its_reasons():
    record = make_record() | {
        "verdict": "reject",
        "headline": "Version 7 is refused.",
        "why": ["It is worse.", "It is slow.", "It is odd."],
    }
    said = page(decisions=[record])
    assert "Last decision REJECT Version 7 is refused." in said
    assert "Why version 7 does not serve" in said
    assert "It is slow." in said
    assert "It is odd." not in said
    assert "Why version 7 does not serve" not in page(decisions=[record | {"verdict": "promote"}])


def test_a_backtest_is_told_where_there_is_one():
    assert "evergreen backtest" in page(publications=[{"partition": "2026-05-01", "version": 3, "rows": 9, "realized": worth(5.0)}])
    written = render_overview(Overview(backtest={"answer": ["Monthly is worth it.", "More."]}), PROBLEM)
    assert 'Monthly is worth it. <a href="backtest.html">The backtest</a>' in written


def test_a_backtest_tells_what_the_contracts_policy_saved_in_the_period_with_bounds_where_it_has_them():
    told = planted_backtest()
    said = rooms.backtest_words(Overview(backtest=told))
    assert said == (
        f"{told['answer'][0]} The contract's policy saves 600 EUR against training once with 3,000 orders from 2026-03-01 to 2026-06-01 "
        "(surely better, between 570 and 630 saved); that is 200 EUR per 1,000 orders."
    )
    assert said in html.unescape(page(backtest=told))
    against = told["policies"][-1]["against"]
    against["never"] = {"saved": -50.0, "low": None, "high": None, "word": "cannot be told apart"}
    assert rooms.backtest_words(Overview(backtest=told)).endswith(
        "loses 150 EUR against training once with 3,000 orders from 2026-03-01 to 2026-06-01 (cannot be told apart); "
        "that is 50 EUR per 1,000 orders."
    )
    against["never"] = {"saved": 0.0, "low": 0.0, "high": 0.0, "word": "the same"}
    same = "The contract's policy costs the same as training once, row by row, with 3,000 orders from 2026-03-01 to 2026-06-01."
    assert rooms.backtest_words(Overview(backtest=told)).endswith(same)
    del against["never"]
    assert rooms.backtest_words(Overview(backtest=told)) == told["answer"][0]
    assert rooms.backtest_words(Overview()) == ""


def test_the_plots_say_in_words_what_they_show():
    windows = [window("2026-05-01", 6_000.0, expected=6_100.0), window("2026-06-01", None, expected=6_500.0)]
    drawn = realized_and_estimated(windows, what="cost", note="EUR")
    assert "2026-05-01: realized 5,800 to 6,200, estimated 5,800 to 6,400; 2026-06-01: estimated 6,200 to 6,800." in drawn
    assert "2026-05-01: realized 0.650 to 0.750; 2026-06-01: nothing known." in realized_and_estimated(windows, what="auc", note="")
    assert realized_and_estimated([window("2026-05-01", None)], what="cost", note="") == ""
    saved = saved_so_far([{"partition": "a", "saved": 10.0}, {"partition": "b", "saved": -4.0}], "EUR")
    assert "a: saved 10, in all 10; b: saved \N{MINUS SIGN}4, in all 6." in saved
    assert saved_so_far([], "EUR") == ""


def test_everything_is_gathered_from_a_home(space: Workspace):
    view = gather(space, [], NOW)
    assert list(view.health) == ["orders", "stock", "customers", "outcomes"]
    assert view.alerts == []
    assert view.backtest is None
    told, file = {"answer": ["Yes."], "contract": space.problem.digest()}, space.settings.site / "backtest.json"
    for content, shown in ((told, told), ({**told, "contract": "another"}, None), ([1], None)):
        write_json(file, content)
        assert gather(space, [], NOW).backtest == shown
    file.write_text('{"answer": ')  # torn
    assert gather(space, [], NOW).backtest is None


def test_what_an_earlier_version_wrote_of_a_refusal_is_told_without_its_values():
    expectation = "breaks 2 expectations: every row has its own `id`: not so for 2 (0.2%), for instance `id` SECRET; and `a` is no number"
    assert rooms.refused_for(expectation) == "breaks 2 expectations"
    unlike = "is not like those that were accepted before: `temp` differs by 1.00 (PSI 9.1) from the last accepted delivery"
    assert rooms.refused_for(unlike) == unlike
    alert = f"The delivery a/b.csv is in quarantine: {expectation}. Nothing has taken its place: put a corrected file there."
    told = page(told=[(AT, "quarantine", apart(alert))], alerts=[("quarantine", apart(alert), "evergreen ingest")])
    assert "SECRET" not in told
    assert told.count("is in quarantine: breaks 2 expectations: every row has its own id: not so for 2 (0.2%), for instance") == 2


def test_what_comes_next_is_told_from_the_contract_and_the_journal(space: Workspace):
    (schedule, others) = ahead(space, NOW)
    assert schedule.startswith("The schedule asks for a training at 2026-06-01 03:30 UTC")
    assert others.startswith("Before that, new data or drift or decay may ask for one")
    by_hand = changed(PROBLEM, retraining=changed(PROBLEM.retraining, on=()))
    asleep = Workspace(space.settings, by_hand, space.journal)
    assert ahead(asleep, NOW) == []
    row = {"decision": "d", "training_key": "k", "inputs": "i", "snapshot": "s", "data_time": AT, "champion": None, "record": make_record()}
    space.journal.add(tables.decisions, **row, verdict=Verdict.HOLD, candidate=7)
    assert ahead(asleep, NOW) == ["Version 7 is held, and is judged again when more outcomes are known: `evergreen gate resume`."]


def test_the_site_has_the_page_of_a_refused_delivery_without_what_was_delivered(space: Workspace):
    deliver(space, "stock", "bad.csv", pd.DataFrame({"product": ["shoe"]}))
    ingest(space)
    row = space.journal.last(tables.deliveries)
    cell_ = space.settings.root / "quarantine" / "stock" / row["delivery"][:16]
    (cell_ / "index.html").write_text(
        '<!--values are marked--><!--way back--><b>bad</b><!--beside--><a href="delivered/bad.csv">a copy</a><!--/beside-->'
    )
    index = refresh_site(space, [])
    copy = index.parent / rooms.refused_page("stock", row["delivery"])
    assert copy.read_text() == '<!--values are marked--><a href="../index.html">Control room</a><b>bad</b>'
    assert copy.relative_to(index.parent).as_posix() in index.read_text()
    before = copy.stat().st_mtime_ns
    refresh_site(space, [])
    assert copy.stat().st_mtime_ns == before


def test_no_link_of_the_page_leads_out_of_the_site(space: Workspace):
    index = refresh_site(space, [])
    links = re.findall(r'href="([^"#]+)"', index.read_text())
    folder = Path(index.parent).resolve()
    assert [link for link in links if link != "data:," and not (folder / link).resolve().is_relative_to(folder)] == []


def test_the_page_tells_what_holds_now_without_a_round_and_keeps_what_the_last_one_told(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    assert not freshen_site(space, NOW)  # no round has written one yet
    monkeypatch.setattr("evergreen.control.next_due", lambda *_: NOW)
    known = {"partition": "2026-05-01", "version": 3, "rows": 9, "realized": worth(1_234.0)}
    index = refresh_site(space, [known])
    assert "Nothing that people are told of holds now." in index.read_text()
    monkeypatch.setattr("evergreen.status.frame_of", None)  # a look reads no data
    assert not freshen_site(space, NOW)
    deliver(space, "stock", "bad.csv", pd.DataFrame({"product": ["shoe"]}))
    ingest(space)
    space.journal.add(tables.alerts, cause="c", kind="failure", text="The run died. Affected: us. Run: evergreen run", after=0)
    assert freshen_site(space, NOW)
    text = index.read_text()
    assert "The delivery stock/bad.csv is in quarantine" in text
    assert "It waits in quarantine." in text
    assert "The run died." in text
    assert "Nothing that people are told of holds now." not in text
    assert "1,234" in text
    assert not freshen_site(space, NOW)
    assert "1,234" in text
    space.journal.add(tables.alerts, cause="c", kind=RESOLVED, text="Resolved. The run died.", after=1)
    assert freshen_site(space, NOW)
    said = re.findall(r"UTC</span> (.*?)\.? *(?:Affected.*)?</li>", index.read_text())
    assert said == ["Resolved. The run died", "<strong>failure</strong> The run died"]
    monkeypatch.setattr("evergreen.control.next_due", lambda *_: NOW + timedelta(days=1))  # the hour that the page names has passed
    assert freshen_site(space, NOW)
    assert "asks for a training at 2026-06-02 03:00 UTC" in index.read_text()
    freeze(space.journal, root=space.settings.root, reason="audit", person="Ada")
    assert freshen_site(space, NOW)
    assert "Promotions are frozen" in index.read_text()


def test_served_features_that_differ_are_counted_and_the_worst_are_named():
    columns = [("amount", 30, 0.3), ("product", 2, 0.02), ("region", 1, 0.01), ("day", 1, 0.01), ("hour", 0, 0.0)]
    features = [{"feature": name, "differing": differing, "share": share} for name, differing, share in columns]
    told = service(features={"rows": 1_000, "differing": 31, "features": features})
    said = "Of 1,000 rows served over HTTP, 31 have other features in the data, most of all amount (30%), product (2%), region (1%)."
    assert said in page(service=told)
    same = service(features={"rows": 9, "differing": 0, "features": features[-1:]})
    assert "Of 9 rows served over HTTP, 0 have other features in the data." in page(service=same)
    none = service(features={"rows": 0, "differing": 0, "features": []})
    assert "No row that was served over HTTP can be compared with the data yet." in page(service=none)


def test_versions_that_grow_old_are_told_before_anything_was_predicted():
    point = {
        "version": 1,
        "training_end": "2024-01-01",
        "age_days": 3.0,
        "is_judged": True,
        "cost": {"estimate": 900.0, "low": 800.0, "high": 950.0},
    }
    said = page(champion=1, service=service(staleness={"window_end": "2024-02-01", "points": [point], "earlier": []}))
    assert "1, serves" in said
    assert "900 800 to 950" in said
