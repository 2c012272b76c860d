import dataclasses
import json
import py_compile
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from candidates import toy_candidate, toy_registry, toy_rows, write_rows
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from toy import features

from evergreen.candidate import predicted
from evergreen.errors import ModelError, StoreError
from evergreen.prediction import predict, predict_all, reproduce_golden
from evergreen.predictor import Job
from evergreen.registry import Registry, Version

TOY = Path(features.__file__).parent


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return toy_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def version(registry: Registry) -> Version:
    return registry.register(toy_candidate())


@pytest.fixture
def job(registry: Registry, version: Version, tmp_path: Path) -> Job:
    """Three days of orders for the registered model."""
    write_rows(tmp_path / "rows.parquet")
    return Job(registry.folder(version), tmp_path / "rows.parquet", tmp_path / "out.parquet", key="order_id")


def expected(job: Job) -> pd.DataFrame:
    rows = pd.read_parquet(job.rows)
    return pd.concat([rows[["order_id"]], predicted(toy_candidate().estimator, rows.drop(columns="order_id"))], axis=1)


def test_a_registered_model_says_what_it_said_in_training_in_any_chunks(job: Job):
    pd.testing.assert_frame_equal(pd.read_parquet(predict(job)), expected(job))
    pd.testing.assert_frame_equal(pd.read_parquet(predict(dataclasses.replace(job, chunk_rows=100))), expected(job))


def test_gradient_boosting_is_loaded_with_the_reviewed_types(registry: Registry, tmp_path: Path):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    boosting = make_pipeline(
        make_column_transformer((encoder, ["product"]), remainder="passthrough"), HistGradientBoostingClassifier(max_iter=5)
    )
    version = registry.register(toy_candidate("boosting", estimator=boosting))
    write_rows(tmp_path / "rows.parquet")
    job = Job(registry.folder(version), tmp_path / "rows.parquet", tmp_path / "out.parquet", key="order_id")
    assert pd.read_parquet(predict(job))["probability"].between(0, 1).all()


def test_text_columns_arrive_as_in_training(registry: Registry, version: Version, tmp_path: Path):
    code = "import pandas as pd\n\n\ndef add_load(X):\n    assert X['product'].dtype == 'str', X.dtypes\n    return X.assign(load=1.0)\n"
    with edited_model(registry, version, tmp_path, code) as job:
        assert len(pd.read_parquet(predict(job))) == 454


LOOKS_UP = """
import time

KNOWN = set()


def add_load(X):
    if not KNOWN.issuperset(X["amount"]):
        begun = time.process_time()
        while time.process_time() - begun < 0.01:
            pass
    KNOWN.update(X["amount"])
    return X.assign(load=1.0)
"""


def test_a_row_is_timed_when_it_is_new_to_a_model_that_remembers_all_it_was_asked(registry: Registry, version: Version, tmp_path: Path):
    with edited_model(registry, version, tmp_path, LOOKS_UP) as job:
        predict(dataclasses.replace(job, profile=tmp_path / "profile.json"))
    took = json.loads((tmp_path / "profile.json").read_text())
    assert np.median(took["one_row_seconds"]) > 0.01


def test_several_models_predict_at_once(job: Job, tmp_path: Path):
    jobs = [dataclasses.replace(job, out=tmp_path / f"{number}.parquet") for number in range(3)]
    for out in predict_all(jobs):
        pd.testing.assert_frame_equal(pd.read_parquet(out), expected(job))


def test_changed_features_in_the_working_tree_do_not_move_a_registered_model(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    changed = changed_tree(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(changed))
    monkeypatch.chdir(changed)
    pd.testing.assert_frame_equal(pd.read_parquet(predict(job)), expected(job))


def test_a_model_is_refused_where_other_feature_code_was_imported_first(job: Job, tmp_path: Path):
    code = f"""
import sys; sys.path.insert(0, {str(changed_tree(tmp_path))!r})
import toy.features
from pathlib import Path
from evergreen.artefact import load_artefact
load_artefact(Path(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(job.model)], capture_output=True, text=True, check=False)
    assert "ModelError: The module toy" in done.stderr


def test_predicting_leaves_the_stored_model_as_it_was(registry: Registry, version: Version, job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    before = sorted(job.model.rglob("*"))
    predict(job)
    assert sorted(job.model.rglob("*")) == before
    assert registry.folder(version) == job.model


def test_planted_bytecode_which_no_digest_covers_is_not_run(tmp_path: Path):
    registry = toy_registry(tmp_path / "var")
    version = registry.register(toy_candidate())
    write_rows(tmp_path / "rows.parquet")
    job = Job(registry.folder(version), tmp_path / "rows.parquet", tmp_path / "out.parquet", key="order_id")
    code = job.model / "code"
    planted = tmp_path / "features.py"
    planted.write_text("raise RuntimeError('the planted bytecode ran')\n")
    cache = code / "toy" / "__pycache__" / f"features.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(planted), cfile=str(cache), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert registry.folder(version) == job.model
    pd.testing.assert_frame_equal(pd.read_parquet(predict(job)), expected(job))
    ran = subprocess.run([sys.executable, "-c", "import toy.features"], cwd=code, capture_output=True, text=True, check=False)
    assert "the planted bytecode ran" in ran.stderr


def test_golden_rows_are_reproduced(registry: Registry, version: Version):
    reproduce_golden(registry, version)


@pytest.mark.parametrize(("error", "allowed"), [(1e-10, True), (1e-6, False)])
def test_golden_rows_may_be_off_by_rounding_only(registry: Registry, error: float, allowed: bool):
    version = registry.register(toy_candidate(f"off by {error}", golden_error=error))
    if allowed:
        reproduce_golden(registry, version)
    else:
        with pytest.raises(ModelError, match=r"does not reproduce its golden rows: 1,470 of 1,470 differ, the farthest by 1e-06"):
            reproduce_golden(registry, version)


def test_golden_rows_of_a_changed_model_are_not_tried(tmp_path: Path):
    registry = toy_registry(tmp_path)
    version = registry.register(toy_candidate())
    (registry.folder(version) / "model.skops").write_bytes(b"")
    with pytest.raises(StoreError, match="not what was registered"):
        reproduce_golden(registry, version)


def test_a_missing_feature_is_one_clear_sentence_and_no_file(job: Job):
    pd.read_parquet(job.rows).drop(columns="amount").to_parquet(job.rows)
    with pytest.raises(ModelError, match=r"cannot predict rows\.parquet: the rows lack amount; they need the key") as caught:
        predict(job)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [file.name for file in job.out.parent.iterdir()] == ["rows.parquet"]


def test_an_error_in_the_models_own_code_names_its_line(job: Job):
    rows = pd.read_parquet(job.rows)
    rows.assign(amount=rows["amount"].astype("str") + "!").to_parquet(job.rows)
    with pytest.raises(ModelError, match=r"features\.py, line 15: TypeError: ") as caught:
        predict(job)
    assert "\n" not in str(caught.value)
    assert not job.out.exists()


def test_no_rows_and_no_model_are_refused(job: Job, tmp_path: Path):
    pd.read_parquet(job.rows).head(0).to_parquet(job.rows)
    with pytest.raises(ModelError, match="there are no rows"):
        predict(job)
    with pytest.raises(ModelError, match="is not a model that Evergreen registered"):
        predict(dataclasses.replace(job, model=tmp_path))


def test_a_model_that_takes_too_long_is_ended(registry: Registry, version: Version, tmp_path: Path):
    with (
        edited_model(registry, version, tmp_path, "import time\n\n\ndef add_load(X):\n    time.sleep(600)\n") as job,
        pytest.raises(ModelError, match=r"did not predict rows\.parquet within 8 s\. Raise cost\.max_predict_seconds"),
    ):
        predict(job, seconds=8)


def test_one_failure_among_several_is_an_error(job: Job, tmp_path: Path):
    with pytest.raises(ModelError, match=r"missing\.parquet"):
        predict_all([job, dataclasses.replace(job, rows=tmp_path / "missing.parquet", out=tmp_path / "other.parquet")])


def test_probabilities_that_are_no_numbers_are_written_for_the_gate_to_judge(registry: Registry, tmp_path: Path):
    broken = toy_candidate("broken")
    broken.estimator.estimator_[-1].coef_[:] = np.nan
    rows = write_rows(tmp_path / "rows.parquet")
    version = registry.register(broken)
    job = Job(registry.folder(version), tmp_path / "rows.parquet", tmp_path / "out.parquet", key="order_id")
    assert np.isnan(pd.read_parquet(predict(job))["probability"]).sum() == len(rows)
    with pytest.raises(ModelError, match="does not reproduce its golden rows"):
        reproduce_golden(registry, version)


def test_outputs_fit_the_task():
    rows = toy_rows(range(5))
    X = rows[["amount", "stock_level"]]
    kinds = predicted(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, rows["product"]), X)
    assert list(kinds.columns) == ["decision", *(f"probability_{name}" for name in ("book", "lamp", "shoe", "sofa"))]
    assert np.allclose(kinds.drop(columns="decision").sum(axis=1), 1)
    assert list(predicted(Ridge().fit(X, rows["amount"]), X).columns) == ["decision"]


def test_a_candidate_whose_feature_is_named_like_an_output_is_refused():
    good = toy_candidate()
    with pytest.raises(ModelError, match="'probability' has the name of a prediction's column"):
        dataclasses.replace(good, features=("probability",))
    with pytest.raises(ModelError, match="The golden rows lack decision"):
        dataclasses.replace(good, golden=good.golden.drop(columns="decision"))


def test_the_predicting_process_waits_for_no_library_it_does_not_need():
    code = "import sys, json, evergreen.prediction, evergreen.artefact, evergreen.candidate; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlflow", "sqlalchemy", "pydantic", "matplotlib"} & set(json.loads(done.stdout))


def changed_tree(tmp_path: Path) -> Path:
    """A working tree with another version of the toy's features."""
    copy = tmp_path / "changed" / "toy"
    copy.mkdir(parents=True)
    (copy / "__init__.py").touch()
    text = (TOY / "features.py").read_text()
    (copy / "features.py").write_text(text.replace('X["amount"] / X', '-9 * X["amount"] / X'))
    assert (copy / "features.py").read_text() != text
    return copy.parent


class edited_model:  # noqa: N801 - reads as a sentence in `with`
    """The registered model with other code in its folder, put back afterwards."""

    def __init__(self, registry: Registry, version: Version, tmp_path: Path, code: str) -> None:
        write_rows(tmp_path / "rows.parquet")
        self.job = Job(registry.folder(version), tmp_path / "rows.parquet", tmp_path / "out.parquet", key="order_id")
        self.file, self.code = self.job.model / "code" / "toy" / "features.py", code

    def __enter__(self) -> Job:
        self.before = self.file.read_text()
        self.file.write_text(self.code)
        return self.job

    def __exit__(self, *_: object) -> None:
        self.file.write_text(self.before)
