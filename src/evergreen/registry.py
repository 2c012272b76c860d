"""The only writer to MLflow: runs, models, versions and aliases; the journal says what each of them must be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import numpy as np

from evergreen.brakes import refuse_removed
from evergreen.candidate import Trained
from evergreen.contract import Problem
from evergreen.errors import RegistryError, StoreError, TamperedError
from evergreen.faults import reach
from evergreen.files import digest_folder, digest_text, lock, read_json
from evergreen.journal import Journal, versions
from evergreen.leases import unless_alone
from evergreen.packing import pack_evidence, pack_model
from evergreen.settings import Settings
from evergreen.tracking import explained, is_database, log_holdout, log_training, prepare_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Version:
    """A registered model, as the journal has it."""

    number: int
    run_id: str
    training_key: str
    artefact: str
    """Digest of the model's folder."""
    evidence: str
    """Digest of the folder with golden rows, training rows and facts."""
    facts: dict[str, Any]
    """features, parameters, metrics, trusted_types, provenance, where both folders are, and what training reported."""


@dataclass(frozen=True)
class Registry:
    """The registered models of one problem. MLflow is reached at the first need; what the journal knows is answered without it."""

    settings: Settings
    problem: Problem
    journal: Journal

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        return [_version(row) for row in self.journal.rows(versions)]

    def version(self, number: int) -> Version:
        """The version of that number.

        Raises
        ------
        RegistryError
            The journal has none.
        """
        row = self.journal.last(versions, version=number)
        if row is None:
            known = ", ".join(str(version.number) for version in self.versions()) or "none yet"
            raise RegistryError(f"There is no version {number} of {self.problem.name}; registered: {known}.")
        return _version(row)

    def register(self, trained: Trained) -> Version:
        """Register a candidate as a new version without an alias; a training that has its version already gets that one.

        Raises
        ------
        ModelError
            The estimator holds types that nobody has reviewed.
        RegistryError
            MLflow cannot be used.
        """
        with unless_alone(self.journal, self.settings.root / ".register.lock", holder="registering a model", seconds=600):
            row = self.journal.last(versions, training_key=trained.training_key)
            if row:
                return _version(row)
            with self._explained():
                # A process killed between MLflow and the journal has left its version behind, complete and tagged.
                query = f"name = '{self.problem.name}' and tags.training_key = '{trained.training_key}'"
                found = self._client.search_model_versions(query)
                return self._record(found[0] if found else self._log(trained))

    def folder(self, version: Version) -> Path:
        """The local folder of a version's model, checked before anybody parses what is in it.

        Raises
        ------
        StoreError
            It is missing, was removed by a clean-up, or is not what was registered.
        """
        return self._checked(version, "model_uri", version.artefact)

    def evidence_folder(self, version: Version) -> Path:
        """The local folder with `golden.parquet`, `training_rows.npy` and `facts.json`, checked in the same way."""
        return self._checked(version, "evidence_uri", version.evidence)

    def training_rows(self, version: Version) -> np.ndarray:
        """Fingerprints (uint64, sorted) of the rows that a version has learnt from."""
        return np.asarray(np.load(self.evidence_folder(version) / "training_rows.npy", allow_pickle=False))

    def aliases(self) -> dict[str, int]:
        """Which version each alias names; empty before the first registration."""
        with self._explained():
            found = self._client.search_registered_models(f"name = '{self.problem.name}'")
            return {alias: int(number) for model in found for alias, number in model.aliases.items()}

    def set_alias(self, alias: str, number: int | None) -> None:
        """Make an alias name a version, or (None) nothing. Only `evergreen.promotion` moves aliases."""
        with self._explained():
            if number is not None:
                self._client.set_registered_model_alias(self.problem.name, alias, str(number))
            elif alias in self.aliases():
                self._client.delete_registered_model_alias(self.problem.name, alias)

    def annotate(self, version: Version, record: dict[str, Any], *, files: Sequence[Path] = ()) -> None:
        """Show a decision where people look: its files and its numbers of the holdout on the run, then tags on the version.

        Doing it again for the same decision changes nothing. The tag `decision` comes last: a version that has it has everything else.
        """
        with self._explained():
            for file in files:
                self._client.log_artifact(version.run_id, str(file), "decision")
                reach("after a file of the decision in MLflow")
            log_holdout(self._client, version.run_id, record)
            for name in ("verdict", "decision"):
                self._client.set_model_version_tag(self.problem.name, str(version.number), name, record[name])
                reach(f"after MLflow's tag {name}")

    def tag(self, version: Version, **tags: str | None) -> None:
        """Show something else on a version, in the place of what the same tags said before; with None nothing any more."""
        with self._explained():
            for name, value in tags.items():
                if value is not None:
                    self._client.set_model_version_tag(self.problem.name, str(version.number), name, value)
                elif name in self._client.get_model_version(self.problem.name, str(version.number)).tags:
                    self._client.delete_model_version_tag(self.problem.name, str(version.number), name)

    @property
    def _client(self) -> MlflowClient:
        return self._connection[0]

    @cached_property
    def _connection(self) -> tuple[MlflowClient, str]:
        """MLflow, and the problem's experiment in it. One process at a time: several that make the tables at once break them for good."""
        name, uri = self.problem.name, self.settings.mlflow
        with lock(self.settings.root / ".mlflow.lock", holder="opening MLflow's store"), self._explained():
            from mlflow import MlflowClient

            prepare_store(uri)
            client = MlflowClient(uri, uri)
            if not client.search_registered_models(f"name = '{name}'"):
                client.create_registered_model(name)
            if found := client.get_experiment_by_name(name):
                return client, found.experiment_id
            local = (self.settings.root / "mlartifacts").as_uri() if is_database(uri) else None
            return client, client.create_experiment(name, artifact_location=local)

    def _log(self, trained: Trained) -> ModelVersion:
        """One run with its model and evidence, then the version; nothing is written to MLflow for a model that is refused."""
        from mlflow.entities import LoggedModelOutput

        (client, experiment), tags = self._connection, _tags(trained)
        for left in client.search_runs([experiment], f"tags.training_key = '{trained.training_key}' and attributes.status = 'RUNNING'"):
            client.set_terminated(left.info.run_id, "KILLED")
        with TemporaryDirectory() as scratch:
            model, evidence = Path(scratch) / "model", Path(scratch) / "evidence"
            pack_model(trained, self.problem, lock=self.settings.lock, folder=model)
            pack_evidence(trained, self.problem, folder=evidence)
            reach("before MLflow's run")
            run = client.create_run(experiment, run_name=f"train-{trained.training_key[:12]}", tags=tags).info
            reach("after MLflow's run")
            logged = client.create_logged_model(experiment, name="model", source_run_id=run.run_id, tags=tags)
            _stamp(model, run_id=run.run_id, model_id=logged.model_id)
            log_training(client, run.run_id, trained)
            client.log_artifacts(run.run_id, str(evidence), "evidence")
            reach("after the evidence is stored")
            client.log_model_artifacts(logged.model_id, str(model))
            reach("after the model is stored")
        client.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(run.run_id, [LoggedModelOutput(logged.model_id, 0)])
        client.set_terminated(run.run_id)
        # What is stored counts, so it is read back; and the tags come with the version, so that none is ever without.
        tags |= {
            "artefact": stored_digest(self._local(logged.artifact_location)),
            "evidence": stored_digest(self._local(f"{run.artifact_uri}/evidence")),
        }
        reach("before MLflow's version")
        self.journal.insist()
        made = client.create_model_version(
            self.problem.name, logged.artifact_location, run_id=run.run_id, tags=tags, model_id=logged.model_id
        )
        reach("after MLflow's version")
        return made

    def _record(self, found: ModelVersion) -> Version:
        """Write a version of MLflow's into the journal, when what is stored is what its tags say."""
        run = self._client.get_run(str(found.run_id)).info
        uris = {"model_uri": str(found.source), "evidence_uri": f"{run.artifact_uri}/evidence"}
        for name, uri in (("artefact", uris["model_uri"]), ("evidence", uris["evidence_uri"])):
            self._checked_folder(uri, found.tags[name], what=f"The {name} of version {found.version}")
        facts = read_json(self._local(uris["evidence_uri"]) / "facts.json")
        facts["provenance"]["artefact"] = found.tags["artefact"]
        self.journal.add(
            versions,
            version=int(found.version),
            run_id=found.run_id,
            **{name: found.tags[name] for name in ("training_key", "snapshot", "artefact", "evidence")},
            facts={**facts, **uris},
        )
        return self.version(int(found.version))

    def _checked(self, version: Version, uri: str, digest: str) -> Path:
        refuse_removed(self.journal, version.number)
        what = "The model" if uri == "model_uri" else "The evidence"
        return self._checked_folder(version.facts[uri], digest, what=f"{what} of version {version.number}")

    def _checked_folder(self, uri: str, digest: str, *, what: str) -> Path:
        folder = self._local(uri)
        if not folder.is_dir():
            raise StoreError(f"{what} is missing: no folder {folder}. Was the home moved? Put it back, or restore a backup.")
        found = stored_digest(folder)
        if found != digest:
            raise TamperedError(
                f"{what} in {folder} is not what was registered: its digest is {found[:12]}, the registered one {digest[:12]}. "
                "It was changed or is damaged; nothing of it was loaded. Restore it from a backup, or roll back to another version."
            )
        return folder

    def _local(self, uri: str) -> Path:
        """The folder that a URI names: itself when it is local, else a copy in the cache, complete or absent."""
        if folder := local_folder(uri):
            return folder
        copy = self.settings.root / "cache" / cache_name(uri)
        if not copy.exists():
            _ = self._client
            from mlflow.artifacts import download_artifacts

            copy.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=copy.parent) as scratch, self._explained():
                got = download_artifacts(artifact_uri=uri, dst_path=scratch, tracking_uri=self.settings.mlflow)
                with lock(copy.parent / ".cache.lock", holder="fetching a model"):
                    if not copy.exists():
                        Path(got).rename(copy)
        return copy

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.settings.mlflow)


def local_folder(uri: str) -> Path | None:
    """The folder that a URI names on this machine; None where it names another."""
    parts = urlparse(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def cache_name(uri: str) -> str:
    """What the copy of a folder elsewhere is called in `cache/`."""
    return digest_text(uri)[:24]


def stored_digest(folder: Path) -> str:
    """Digest of a stored folder, without the note that MLflow's own client leaves in a model it loads by alias."""
    return digest_folder(folder, keep=lambda path: path != folder / "registered_model_meta")


def _version(row: dict[str, Any]) -> Version:
    return Version(row["version"], **{name: row[name] for name in ("run_id", "training_key", "artefact", "evidence", "facts")})


def _tags(trained: Trained) -> dict[str, str]:
    commit = {"commit": trained.facts["commit"]} if "commit" in trained.facts else {}
    return {**trained.provenance, **commit, "training_key": trained.training_key, "snapshot": trained.snapshot}


def _stamp(folder: Path, *, run_id: str, model_id: str) -> None:
    """Write into a packed model which run and which logged model it is."""
    from mlflow.models import Model

    model = Model.load(str(folder))
    model.run_id, model.model_id, model.model_uuid = run_id, model_id, model_id
    model.save(str(folder / "MLmodel"))
