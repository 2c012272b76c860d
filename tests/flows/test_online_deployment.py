"""A version is rehearsed before it is promoted, seen to serve afterwards, and left again when it does not serve as it should."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from candidates import toy_candidate, toy_rows
from commands import Home, make_home, told
from moves import BROKEN, four_versions, given
from serving import Served, served
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from toy.contract import PROBLEM
from toy.online import PROBLEM as ONLINE
from waiting import until

from evergreen import promotion
from evergreen.causes import find_alerts
from evergreen.errors import ModelError, RefusedError
from evergreen.journal import bars, refusals
from evergreen.moves import served_by, standing
from evergreen.promotion import Word, promote, rollback
from evergreen.registry import Registry
from evergreen.releases import Retreat, refuse_served, retreat
from evergreen.serving.probing import Api, NotNowError
from evergreen.serving.rehearsal import rehearse
from evergreen.serving.workers import DiedError, Worker
from evergreen.workspace import Workspace

FUSSY = 5
ROW = json.loads(toy_rows(range(20, 21))[list(PROBLEM.features)].head(1).to_json(orient="records"))[0]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Four versions, and a fifth that fails at every product it has not learnt."""
    registry = four_versions(tmp_path_factory.mktemp("online") / "var")
    encode = make_column_transformer((OneHotEncoder(handle_unknown="error"), ["product"]), remainder="passthrough")
    assert registry.register(toy_candidate("fussy", estimator=make_pipeline(encode, LogisticRegression(max_iter=10_000)))).number == FUSSY
    return Registry(registry.settings, ONLINE, registry.journal)


@pytest.fixture
def registry(versions: Registry) -> Registry:
    """The same with version 1 as champion, and nothing served yet."""
    given(versions, champion=1, previous=None, anchor=1, move=f"first {time.time_ns()}")
    shutil.rmtree(versions.settings.root / "serving", ignore_errors=True)
    return versions


def serves(server: Served) -> Any:
    return server.ask("/version").told["model_version"]


def test_a_version_is_rehearsed_in_a_real_worker(registry: Registry):
    rehearse(registry, registry.version(1))
    with pytest.raises(ModelError, match="Version 4 does not reproduce its golden rows"):
        rehearse(registry, registry.version(BROKEN))


def test_a_version_that_fails_the_rehearsal_is_not_promoted(registry: Registry):
    with pytest.raises(ModelError):
        promote(registry, BROKEN, Word("release", "looks good", "somebody"), expected_champion=1)
    assert standing(registry.journal).champion == 1


def test_a_rollback_reaches_the_server_within_ten_seconds(registry: Registry):
    home = Home(registry.settings.root.parent, "toy.online:PROBLEM")
    promote(registry, 2, Word("release", "better", "somebody"), expected_champion=1)
    with served(registry.settings.root) as server:
        server.ready(version=2)
        ended = home.evergreen("rollback", "--reason", "people complain")
        assert ended.code == 0, ended
        until(lambda: serves(server) == 1)
    registry.journal.add(bars, event=f"free {time.time_ns()}", version=2, barred=False, reason="tried", person="test")


def test_the_smoke_test_passes_the_version_that_serves_and_no_other(registry: Registry, tmp_path: Path):
    with served(registry.settings.root) as server:
        server.ready()
        settings = registry.settings.model_copy(update={"api_port": server.port})
        golden = registry.evidence_folder(registry.version(1)) / "golden.parquet"
        with Api(settings) as api:
            assert api.serves(ONLINE) == registry.version(1).artefact
            with pytest.raises(NotNowError, match="is no server of elsewhere"):
                api.serves(ONLINE.model_copy(update={"name": "elsewhere"}))
            api.smoke_test(ONLINE, 1, golden)
            with pytest.raises(NotNowError, match="does not answer with version 2: version 1 answers"):
                api.smoke_test(ONLINE, 2, golden)
            with pytest.raises(ModelError, match="does not reproduce its golden rows"):
                api.smoke_test(ONLINE, 1, registry.evidence_folder(registry.version(BROKEN)) / "golden.parquet")
    with Api(settings) as api, pytest.raises(httpx.ConnectError):
        api.serves(ONLINE)


def test_the_smoke_test_of_a_deployment_fails_unless_the_champion_answers_as_in_training(registry: Registry, tmp_path: Path):
    home = Home(registry.settings.root.parent, "toy.online:PROBLEM")
    with served(registry.settings.root) as server:
        server.ready()
        where = {"EVERGREEN_API_PORT": str(server.port)}
        good = home.evergreen("smoke", **where)
        assert (good.code, good.err) == (0, "")
        assert f"http://127.0.0.1:{server.port}: version 1 answers its golden rows as training did." in " ".join(good.out.split())
        given(registry, champion=BROKEN, previous=1, anchor=1, move="broken")  # which no server takes over
        told(home.evergreen("smoke", "--seconds", "2", **where), "did not answer with version 4 within 2 s: it serves another version")
    told(home.evergreen("smoke", "--seconds", "1", **where), "did not answer with version 4 within 1 s", "Connection refused")
    assert not registry.journal.rows(bars, version=BROKEN)
    nothing = make_home(tmp_path, problem="toy.online:PROBLEM").evergreen("smoke")
    assert (nothing.code, nothing.out) == (0, "No model serves yet, so there are no golden rows to ask.\n")


def test_a_version_that_fails_at_what_the_one_before_answered_is_left_again(registry: Registry):
    strange = ROW | {"product": "tent"}
    with served(registry.settings.root) as server:
        server.ready()
        assert {server.ask("/predict", strange).status for _ in range(5)} == {200}
        given(registry, champion=FUSSY, previous=1, anchor=1, move="fussy")
        server.ready(version=FUSSY)
        assert server.ask("/predict", ROW).status == 200
        refused = server.ask("/predict", strange)
        assert refused.status == 422
        assert "Found unknown categories" in refused.told["faults"][0]["expected"]
        for _ in range(30):
            server.ask("/predict", strange)
        until(lambda: serves(server) == 1)
        assert server.ask("/predict", strange).status == 200
        (row,) = registry.journal.rows(refusals, promotion="fussy")
        assert "of its first" in row["reason"]
    space = Workspace(registry.settings, ONLINE, registry.journal)
    told = [one.what for one in find_alerts(space, now()) if one.kind == "refusal"]
    assert told[0].startswith("Version 5 was promoted, and a server would not serve it (it is the champion still): It failed at ")
    back = retreat(registry)
    assert back == Retreat(FUSSY, row["reason"], 1)
    assert standing(registry.journal).champion == 1
    assert "version 1 serves again, and it is barred" in next(o.what for o in find_alerts(space, now()) if o.kind == "refusal")
    with pytest.raises(RefusedError, match="barred"):
        promote(registry, FUSSY, Word("release", "again", "somebody"), expected_champion=1)
    assert retreat(registry) is None


def now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def test_a_retreat_leaves_alone_who_became_champion_meanwhile(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    given(registry, champion=2, previous=1, anchor=1, move="bad two")
    refuse_served(registry, 2, "it is slow", move="bad two")
    settled = promotion._settle

    def mended_first(given_registry: Registry) -> list[str]:
        monkeypatch.setattr(promotion, "_settle", settled)
        given(registry, champion=3, previous=2, anchor=1, move="the mend")
        return settled(given_registry)

    monkeypatch.setattr(promotion, "_settle", mended_first)
    back = retreat(registry)
    assert back is not None
    assert back.back_to is None
    assert "Another version has become champion meanwhile" in back.hindrance
    assert standing(registry.journal).champion == 3


def test_a_worker_that_dies_at_the_rehearsal_leaves_the_way_back_open(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    given(registry, champion=2, previous=1, anchor=1, move="two again")

    async def dies(self: Worker, columns: Any) -> Any:
        self.kill()
        raise DiedError

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "ask", dies)
        with pytest.raises(ModelError, match="ended at its golden rows"):
            promote(registry, 3, Word("release", "better", "somebody"), expected_champion=2)
    assert rollback(registry, reason="people complain", person="somebody") == 1
    registry.journal.add(bars, event=f"free {time.time_ns()}", version=2, barred=False, reason="tried", person="test")


def test_without_a_way_back_the_refused_champion_stays_and_it_is_said(registry: Registry):
    refuse_served(registry, 1, "it is slow", move=served_by(registry.journal))
    back = retreat(registry)
    assert back is not None
    assert (back.version, back.back_to) == (1, None)
    assert "There is nothing to roll back to" in back.hindrance
    assert standing(registry.journal).champion == 1
