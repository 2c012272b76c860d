"""A number, and one of several classes, over HTTP: what is not a yes or no is answered under its own names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from moves import given
from serving import Served, served
from toy import online
from workspaces import deliver_days, ingest, judge, open_space

from evergreen import retraining
from evergreen.candidate import DECISION, is_answer
from evergreen.contract import Problem
from evergreen.data.snapshots import take_snapshot
from evergreen.prediction import KEY
from evergreen.serving.frames import plain_rows
from evergreen.serving.probing import Api
from evergreen.settings import Settings

ASKED = 7


@dataclass
class Scene:
    """A server of one problem, and what its version has answered in training."""

    problem: Problem
    server: Served
    golden: Path

    @property
    def expected(self) -> pd.DataFrame:
        """Rows and answers."""
        return pd.read_parquet(self.golden).set_index(KEY).head(ASKED)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as requests have them."""
        return plain_rows(self.expected[[name for name in self.expected.columns if not is_answer(name)]])


@pytest.fixture(scope="module", params=["PROFIT", "WISH"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Trained on real deliveries, made champion, served."""
    problem = getattr(online, request.param)
    space = open_space(tmp_path_factory.mktemp("tasks") / "home", problem=problem)
    deliver_days(space, 60 if problem.time else 30, without=() if problem.time else ("stock",))
    ingest(space)
    judge(space, retraining.prepare(space, take_snapshot(space.journal, problem)))
    given(space.registry, champion=1, previous=None, anchor=1)
    golden = space.registry.evidence_folder(space.registry.version(1)) / "golden.parquet"
    with served(space.settings.root, problem=f"toy.online:{request.param}") as server:
        server.ready()
        yield Scene(problem, server, golden)
        assert server.end()[::2] == (0, "")


def test_answers_have_the_names_that_fit_the_question(scene: Scene):
    told = scene.server.ask("/predict", scene.rows).told["predictions"]
    one = scene.server.ask("/predict", scene.rows[0]).told
    expected = scene.expected
    if "probability" in "".join(expected.columns):
        classes = [name for name in expected.columns if name.startswith("probability_")]
        assert len(classes) > 2
        assert [set(row) for row in told] == [{"decision", "probabilities", "prediction_id"}] * ASKED
        for name in classes:
            of_class = [row["probabilities"][name.removeprefix("probability_")] for row in told]
            assert of_class == pytest.approx(list(expected[name]), abs=1e-9)
        assert [row["decision"] for row in told] == list(expected[DECISION])
        assert one["decision"] == told[0]["decision"]
    else:
        assert [set(row) for row in told] == [{"value", "prediction_id"}] * ASKED
        assert [row["value"] for row in told] == pytest.approx(list(expected[DECISION]), abs=1e-9)
        assert one["value"] == pytest.approx(told[0]["value"], abs=1e-9)


def test_mlflows_protocol_and_the_smoke_test_read_the_same_answers(scene: Scene):
    told = scene.server.ask("/invocations", {"dataframe_records": scene.rows}).told["predictions"]
    expected = list(scene.expected[DECISION])
    assert told == (pytest.approx(expected, abs=1e-9) if isinstance(expected[0], float) else expected)
    with Api(Settings(_env_file=None, home=scene.server.home, api_port=scene.server.port)) as api:
        api.smoke_test(scene.problem, 1, scene.golden)
