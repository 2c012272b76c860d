import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from candidates import LOCK, toy_candidate, toy_registry
from decision_records import make_record
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from toy.contract import PROBLEM

from evergreen.errors import ModelError, RegistryError, StoreError
from evergreen.files import write_bytes, write_json
from evergreen.journal import Journal, versions
from evergreen.policies import CostPolicy
from evergreen.registry import Registry

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with one version, for tests that only read."""
    registry = toy_registry(tmp_path_factory.mktemp("shared") / "a home")
    registry.register(toy_candidate())
    return registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return toy_registry(tmp_path / "var")


def mlflow_client(registry: Registry):
    from mlflow import MlflowClient

    return MlflowClient(registry.settings.mlflow, registry.settings.mlflow)


def in_python(code: str, *arguments: object, options: tuple[str, ...] = (), cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_same_training_key_gives_one_version(registry: Registry):
    first = registry.register(toy_candidate("same"))
    again = registry.register(toy_candidate("same", days=12))
    assert again == first
    assert [found.version for found in mlflow_client(registry).search_model_versions("name = 'toy'")] == [1]
    assert registry.register(toy_candidate("other", days=12)).number == 2


def test_six_processes_open_a_fresh_store_at_once(tmp_path: Path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from candidates import toy_registry\n"
    code += "print(toy_registry(Path(sys.argv[2]), bare=True).aliases())"
    command = [sys.executable, "-c", code, str(TESTS), str(tmp_path / "var")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    said = [process.communicate() for process in started]
    assert said == [("{}\n", "")] * 6
    assert toy_registry(tmp_path / "var").register(toy_candidate()).number == 1


def test_a_version_carries_what_made_it_from_its_creation(shared: Registry):
    client, version = mlflow_client(shared), shared.version(1)
    found = client.get_model_version("toy", "1")
    run = client.get_run(version.run_id)
    assert found.tags == {
        **{"training_key": "first", "snapshot": "5" * 64, "contract": "c" * 64, "code": "d" * 64, "lock": "e" * 64},
        **{"artefact": version.artefact, "evidence": version.evidence, "commit": "0123456789ab+"},
    }
    assert (run.data.metrics, run.info.status) == ({"cost": 2.5}, "FINISHED")
    assert run.inputs.dataset_inputs[0].dataset.source == "5" * 64
    assert version.facts["provenance"]["artefact"] == version.artefact
    assert (version.facts["rows"], version.facts["metrics"]) == (len(toy_candidate().golden), {"cost": 2.5})


def test_the_evidence_holds_golden_rows_and_sorted_fingerprints(shared: Registry):
    folder, trained = shared.evidence_folder(shared.version(1)), toy_candidate()
    golden = pd.read_parquet(folder / "golden.parquet")
    pd.testing.assert_frame_equal(golden.drop(columns="golden_row"), trained.golden)
    assert np.array_equal(np.load(folder / "training_rows.npy", allow_pickle=False), np.sort(trained.training_rows))


def test_requirements_are_the_locked_ones(shared: Registry):
    lines = (shared.folder(shared.version(1)) / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in lines] == ["mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops"]
    assert all(line in LOCK.read_text() for line in lines)


@pytest.mark.parametrize(("content", "message"), [(None, "is missing"), ("numpy==2.4.6\n", "does not pin mlflow, pandas")])
def test_a_lock_that_does_not_pin_the_packages_is_refused(tmp_path: Path, content: str | None, message: str):
    lock = tmp_path / "requirements.txt"
    if content:
        lock.write_text(content)
    with pytest.raises(RegistryError, match=message):
        toy_registry(tmp_path / "var", lock=lock).register(toy_candidate())


def test_the_plain_mlflow_client_loads_the_champion_without_evergreen(shared: Registry, tmp_path: Path):
    shared.set_alias("champion", 1)
    toy_candidate().golden.to_parquet(tmp_path / "golden.parquet")
    code = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
golden = pd.read_parquet("golden.parquet")
X = golden[json.loads(sys.argv[2])]
estimator = mlflow.sklearn.load_model("models:/toy@champion")
apart = (estimator.predict_proba(X)[:, 1] - golden["probability"]).abs().max()
same = bool((mlflow.pyfunc.load_model("models:/toy@champion").predict(X) == golden["decision"]).all())
print(json.dumps([apart, same, "evergreen" in sys.modules, sys.modules["toy"].__file__]))
"""
    features = json.dumps(PROBLEM.features)
    done = in_python(code, shared.settings.mlflow, features, options=("-I", "-B"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    apart, same, evergreen_was_there, file = json.loads(done.stdout.splitlines()[-1])
    assert apart < 1e-12
    assert same
    assert not evergreen_was_there
    assert str(TESTS) not in file
    # That client writes a note of its own into the stored folder; the model is the same.
    assert (shared.folder(shared.version(1)) / "registered_model_meta").exists()


@pytest.mark.parametrize("name", ["model.skops", "MLmodel", "code/toy/features.py"])
def test_a_tampered_model_is_refused_before_it_is_parsed(registry: Registry, name: str):
    version = registry.register(toy_candidate())
    file = registry.folder(version) / name
    file.write_bytes(b"not what it was")
    with pytest.raises(StoreError, match=r"The model of version 1 .* is not what was registered.*nothing of it was loaded"):
        registry.folder(version)


def test_tampered_evidence_is_refused(registry: Registry):
    version = registry.register(toy_candidate())
    (registry.evidence_folder(version) / "golden.parquet").unlink()
    with pytest.raises(StoreError, match="The evidence of version 1"):
        registry.evidence_folder(version)


def test_a_registration_that_was_killed_before_the_journal_is_adopted(registry: Registry):
    first = registry.register(toy_candidate())
    with sqlite3.connect(registry.settings.root / "journal.db") as database:
        database.execute("DELETE FROM versions")
    assert registry.versions() == []
    assert registry.register(toy_candidate()) == first
    assert len(mlflow_client(registry).search_model_versions("name = 'toy'")) == 1


def test_a_killed_registration_with_a_damaged_model_is_not_adopted(registry: Registry):
    version = registry.register(toy_candidate())
    (registry.folder(version) / "model.skops").write_bytes(b"torn")
    with sqlite3.connect(registry.settings.root / "journal.db") as database:
        database.execute("DELETE FROM versions")
    with pytest.raises(StoreError, match="The artefact of version 1"):
        registry.register(toy_candidate())
    assert registry.journal.rows(versions) == []


def test_a_run_that_was_killed_before_its_version_is_closed(registry: Registry):
    registry.aliases()
    client = mlflow_client(registry)
    experiment = client.get_experiment_by_name("toy").experiment_id
    left = client.create_run(experiment, tags={"training_key": "first"}).info.run_id
    other = client.create_run(experiment, tags={"training_key": "second"}).info.run_id
    assert registry.register(toy_candidate("first")).number == 1
    assert client.get_run(left).info.status == "KILLED"
    assert client.get_run(other).info.status == "RUNNING"


def test_unreviewed_types_are_refused_by_name_and_leave_nothing_in_mlflow(registry: Registry):
    from sklearn.compose import make_column_transformer

    nearest = make_pipeline(make_column_transformer(("passthrough", ["amount", "stock_level"])), KNeighborsClassifier())
    candidate = toy_candidate(estimator=nearest)
    with pytest.raises(ModelError, match=r"sklearn\.neighbors\._kd_tree\.KDTree.*trusted_types in the contract"):
        registry.register(candidate)
    assert mlflow_client(registry).search_runs([mlflow_client(registry).get_experiment_by_name("toy").experiment_id]) == []
    reviewed = PROBLEM.model_copy(
        update={"trusted_types": ("sklearn.neighbors._kd_tree.KDTree", "sklearn.metrics._dist_metrics.EuclideanDistance64")}
    )
    version = Registry(registry.settings, reviewed, registry.journal).register(candidate)
    assert version.facts["trusted_types"] == list(reviewed.trusted_types)


def test_a_function_that_nothing_can_import_again_is_refused(registry: Registry):
    candidate = toy_candidate(estimator=make_pipeline(FunctionTransformer(lambda X: X), PROBLEM.build_estimator()))
    with pytest.raises(ModelError, match="lambda"):
        registry.register(candidate)


@pytest.mark.parametrize("name", ["<lambda>", "add_load.<locals>.inner"])
def test_a_function_of_the_problems_own_that_is_not_found_by_its_name_is_refused(registry: Registry, name: str):
    def inner(X: pd.DataFrame) -> pd.DataFrame:
        return X

    inner.__module__, inner.__qualname__, inner.__name__ = "toy.features", name, name.rpartition(".")[2]
    candidate = toy_candidate(estimator=make_pipeline(FunctionTransformer(inner), PROBLEM.build_estimator()))
    with pytest.raises(ModelError, match=r"holds toy\.features\..*(lambda>|inner), which nobody .* stand at the top of a module"):
        registry.register(candidate)
    assert registry.journal.rows(versions) == []


def test_mlflow_says_nothing_and_reports_to_nobody(tmp_path: Path):
    code = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from candidates import toy_candidate, toy_registry
registry = toy_registry(Path(sys.argv[2]))
registry.register(toy_candidate("first")); registry.register(toy_candidate("second"))
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
"""
    done = in_python(code, TESTS, tmp_path / "var")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_run_says_what_the_estimator_was_set_to_beside_the_trainings_own_parameters(shared: Registry):
    told = mlflow_client(shared).get_run(shared.version(1).run_id).data.params
    assert told["days"] == "10"
    assert told["logisticregression__C"] == "1.0"
    assert told["logisticregression__random_state"] == "None"
    assert told["logisticregression__fit_intercept"] == "True"
    assert float(told["decision_threshold"]) == 1 / 3
    assert "logisticregression" not in told  # an object, not a value


def test_parameters_beyond_what_mlflow_takes_are_cut_and_sent_in_parts(registry: Registry):
    many = {f"parameter_{i}": i for i in range(230)} | {"scale (log): x/y": 1, "long": "x" * 7_000, "n" * 300: np.float64(0.5)}
    version = registry.register(replace(toy_candidate(), parameters=many))
    told = mlflow_client(registry).get_run(version.run_id).data.params
    assert all(told[f"parameter_{i}"] == str(i) for i in range(230))
    assert (told["scale _log__ x_y"], told["long"], told["n" * 250]) == ("1", "x" * 6_000, "0.5")
    assert version.facts["parameters"]["long"] == "x" * 7_000


def test_a_decision_is_shown_on_the_version_and_its_run(registry: Registry, tmp_path: Path):
    version, record = registry.register(toy_candidate()), make_record()
    registry.annotate(version, record, files=[write_json(tmp_path / "d7.json", record)])
    client = mlflow_client(registry)
    shown = client.get_model_version("toy", "1").tags
    assert (shown["verdict"], shown["decision"]) == (record["verdict"], "d7")
    metrics = client.get_run(version.run_id).data.metrics
    own = record["metrics"]["candidate"]
    assert metrics["holdout_cost_per_1000"] == next(row["cost_per_1000"] for row in record["money"] if row["name"] == "candidate")
    assert {name: metrics[f"holdout_{name}"] for name in own} == own
    assert {"roc_auc", "log_loss"} <= set(own)
    assert metrics["cost"] == 2.5
    assert [file.path for file in client.list_artifacts(version.run_id, "decision")] == ["decision/d7.json"]


def test_a_decision_that_was_half_shown_is_shown_whole_by_doing_it_again_and_again_changes_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from mlflow import MlflowClient

    version, record = registry.register(toy_candidate()), make_record()
    files = [write_json(tmp_path / "d7.json", record), write_bytes(tmp_path / "d7.html", b"<p>")]
    monkeypatch.setattr(MlflowClient, "log_batch", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        registry.annotate(version, record, files=files)
    monkeypatch.undo()
    client = mlflow_client(registry)
    assert "decision" not in client.get_model_version("toy", "1").tags  # a version that has it has everything
    states = []
    for _ in range(2):
        registry.annotate(version, record, files=files)
        points = client.get_metric_history(version.run_id, "holdout_cost_per_1000")
        kept = Path(client.download_artifacts(version.run_id, "decision"))
        states.append((client.get_model_version("toy", "1").tags, points, {file.name: file.read_bytes() for file in kept.iterdir()}))
    assert states[0] == states[1]
    tags, points, kept = states[0]
    assert tags["decision"] == "d7"
    assert len(points) == 1
    assert kept == {file.name: file.read_bytes() for file in files}


def test_a_decision_on_unsound_evidence_has_no_numbers_to_show(registry: Registry):
    version = registry.register(toy_candidate())
    registry.annotate(version, make_record() | {"money": [], "metrics": {}})
    metrics = mlflow_client(registry).get_run(version.run_id).data.metrics
    assert metrics == {"cost": 2.5}


def test_an_unknown_version_is_refused_with_those_there_are(shared: Registry):
    with pytest.raises(RegistryError, match="no version 7 of toy; registered: 1"):
        shared.version(7)


def test_an_alias_can_be_taken_away(registry: Registry):
    registry.register(toy_candidate())
    registry.set_alias("challenger", 1)
    assert registry.aliases() == {"challenger": 1}
    registry.set_alias("challenger", None)
    registry.set_alias("challenger", None)
    assert registry.aliases() == {}


@pytest.mark.parametrize(("times", "stored"), [(9.0, True), (11.0, False)])
def test_only_a_model_of_more_than_ten_times_the_allowed_size_is_not_even_stored(
    tmp_path: Path, shared: Registry, times: float, stored: bool
):
    size = sum(path.stat().st_size for path in shared.folder(shared.version(1)).rglob("*") if path.is_file()) / 1e6
    allowed = PROBLEM.model_copy(update={"cost": CostPolicy(max_model_megabytes=size / times)})
    registry = Registry(shared.settings.model_copy(update={"home": tmp_path}), allowed, Journal(f"sqlite:///{tmp_path / 'journal.db'}"))
    if stored:
        assert registry.register(toy_candidate()).number == 1
    else:
        with pytest.raises(ModelError, match=r"The model takes .* MB; the contract allows .* more than 10 times that is not even stored"):
            registry.register(toy_candidate())
