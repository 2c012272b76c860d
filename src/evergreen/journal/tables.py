"""The tables: what came in, what was decided, what was promoted, what was published, and what set it going.

Whoever changes them adds a file to `migrations/versions` and one to `SCHEMA`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

SCHEMA = 7
"""The number of the newest revision."""
REVISIONS = "journal_revision"
"""The table in which Alembic writes down what a journal has. MLflow and Prefect have an `alembic_version` of their own each, and one
database may hold MLflow's tables and ours."""
metadata = sa.MetaData()
LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""The numbers of the log of predictions, and what names them: it may come to more than 2,147,483,647 rows, removed ones included. SQLite's
INTEGER has 64 bits anyway, and counts by itself only if it is called so."""


def _table(name: str, *columns: sa.Column[Any], unique: tuple[str, ...], number: Any = sa.Integer) -> sa.Table:
    first = sa.Column("seq", number, primary_key=True, autoincrement=True)
    return sa.Table(name, metadata, first, *columns, _text("at"), sa.UniqueConstraint(*unique, name=f"{name}_once"))


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe(name: str, kind: Any = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


about = _table("about", sa.Column("schema_version", sa.Integer, nullable=False), unique=("schema_version",))
"""Since when the journal has had which schema; up to 1 there was no Alembic to ask."""
owner = _table("owner", sa.Column("slot", sa.Integer, nullable=False), _text("problem"), unique=("slot",))
"""The problem that this journal belongs to; one row."""
deliveries = _table(
    "deliveries",
    *map(_text, ("source", "name", "delivery", "rules", "outcome", "reason", "stat")),
    *(_maybe("batch"), _maybe("newest"), sa.Column("row_count", sa.Integer), sa.Column("warnings", sa.JSON)),
    sa.Column("after", sa.Integer, nullable=False),
    unique=("source", "name", "delivery", "rules", "after"),
)
"""One judged file. `delivery`: sha256 of its bytes; `rules`: digest of what judged it; `outcome`: published, quarantined or duplicate;
`stat`: size and time of change; `batch`: sha256 of the published parquet, or of the one that a quarantined delivery would be, were it not
taken back (`revocations`); `newest`: newest time in it; `after`: `seq` of the row before it for the same source and name (0: the first),
so that a file that changes back is a delivery of its own."""
snapshots = _table("snapshots", _text("snapshot"), sa.Column("batches", sa.JSON), unique=("snapshot",))
versions = _table(
    "versions",
    *map(_text, ("training_key", "run_id", "snapshot", "artefact", "evidence")),
    *(sa.Column("version", sa.Integer, nullable=False), sa.Column("facts", sa.JSON)),
    unique=("training_key",),
)
"""One registered model. `artefact`: digest of the model's folder; `evidence`: digest of its golden and training rows."""
decisions = _table(
    "decisions",
    *map(_text, ("decision", "training_key", "inputs", "verdict", "snapshot", "data_time")),
    *(sa.Column("candidate", sa.Integer), _maybe("champion", sa.Integer), sa.Column("record", sa.JSON)),
    unique=("decision",),
)
ledger = _table("ledger", *map(_text, ("spend", "data_time", "purpose")), sa.Column("alpha", sa.Float, nullable=False), unique=("spend",))
looks = _table(
    "looks",
    *map(_text, ("look", "pair")),
    *(sa.Column(name, sa.Float, nullable=False) for name in ("alpha", "price")),
    unique=("look",),
)
"""Each time that a candidate was held against a champion (`pair`), on one window (`look`): at which alpha, and what the ledger took."""
promotions = _table(
    "promotions",
    *map(_text, ("promotion", "state", "kind", "reason", "person")),
    *(sa.Column("version", sa.Integer, nullable=False), _maybe("champion", sa.Integer), _maybe("anchor", sa.Integer)),
    unique=("promotion", "state"),
)
"""Moves of the aliases: first a row with state "intent", then "done" or "undone". `kind`: promotion, release, override, rollback."""
overrides = _table(
    "overrides",
    *map(_text, ("override", "promotion", "decision", "verdict", "reason", "person", "expires")),
    *(sa.Column("version", sa.Integer, nullable=False), sa.Column("checks", sa.JSON)),
    unique=("override",),
)
"""A refused version that a person has serve until `expires`. `promotion`: the move, of kind override; a later row for it sets another
end. `checks`: those that did not pass in `decision`."""
bars = _table(
    "bars",
    *map(_text, ("event", "reason", "person")),
    *(sa.Column("version", sa.Integer, nullable=False), sa.Column("barred", sa.Boolean, nullable=False)),
    unique=("event",),
)
freezes = _table("freezes", *map(_text, ("event", "reason", "person")), sa.Column("frozen", sa.Boolean, nullable=False), unique=("event",))
"""All promotions stopped or resumed; the newest row counts."""
tunings = _table(
    "tunings", *map(_text, ("recipe", "tuning")), sa.Column("parameters", sa.JSON), sa.Column("cost", sa.Float), unique=("tuning",)
)
"""Parameters that a search found. `recipe`: digest of the code and the contract that they are parameters of."""
publications = _table(
    "publications",
    *map(_text, ("publication", "partition", "snapshot", "path", "content")),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("version", "row_count", "after")),
    unique=("partition", "publication", "after"),
)
"""What the pointer of a partition was moved to; `after`: `seq` of the row before it for that partition (0: the first)."""
cycles = _table("cycles", _text("cycle"), sa.Column("facts", sa.JSON), unique=("cycle",))
"""Finished rounds of the loop, so that a killed loop goes on where it was."""
triggers = _table(
    "triggers",
    *map(_text, ("trigger", "kind", "action", "rule", "reason", "inputs", "window")),
    unique=("trigger", "action", "rule"),
)
"""What was made of each reason to retrain. `trigger`: its key; `action`: retrain, resume or skip, and by which `rule`; `inputs`: see
`retraining.inputs_digest`; `window`: the hour of a schedule, the end of the rows that drift or decay were seen in, when a person
asked. A trigger is skipped once by each rule, and acted upon once. `action` ask: a
person's request; start and excuse: see `evergreen.attempts`."""
signals = _table("signals", *map(_text, ("signal", "kind", "window")), sa.Column("facts", sa.JSON), unique=("signal",))
"""What was found on one window of rows. `kind`: drift or decay (found or not, with figures), or what predictions in service came to, see
`evergreen.monitoring.measuring`: realized, realized_served, estimate, staleness, features; or what a candidate showed on a holdout, see
`evergreen.portrait`: importance. Whoever reads them asks for a kind."""
sa.Index("signals_newest", signals.c.kind, signals.c.window, signals.c.seq)
removals = _table("removals", *map(_text, ("removal", "kind", "name", "reason")), unique=("removal",))
"""What was removed to save room although the journal names it. `kind`: model (`name`: its version), prediction (its path)
or served (how many rows of the log, until when)."""
alerts = _table("alerts", *map(_text, ("cause", "kind", "text")), sa.Column("after", sa.Integer, nullable=False), unique=("cause", "after"))
"""What people were told of. `cause`: digest of what it was about; `kind`: the alert's own, or "resolved" when it holds no longer; then
"again" for each time that it is sent once more, and "sent" when an address has taken it; `after`: `seq` of the row before it for that cause
(0: the first)."""
served = _table(
    "served",
    *map(_text, ("prediction", "asked_at", "features", "inputs", "answer")),
    *(sa.Column("version", sa.Integer, nullable=False), _maybe("entity")),
    unique=("prediction",),
    number=LONG,
)
"""One row that was predicted over HTTP. `inputs`: the features, as JSON; `features`: their digest; `answer`: what the model said, as JSON;
`entity`: the key of the thing, where the request gave it. Old rows may be removed: see `evergreen.journal.log`."""
refusals = _table(
    "refusals", *map(_text, ("refusal", "promotion", "reason")), sa.Column("version", sa.Integer, nullable=False), unique=("refusal",)
)
"""A champion that a server would not serve, by the `promotion` that made it champion."""
shadows = _table(
    "shadows",
    _maybe("version", sa.Integer),
    *(sa.Column(name, kind, nullable=False) for name, kind in (("since", LONG), ("after", sa.Integer))),
    _text("reason"),
    unique=("after",),
)
"""Which version is asked in shadow from now on; none where `version` is empty. `since`: `seq` of the newest row of `served` then; `after`:
`seq` of the row before it (0: the first)."""
shadowed = _table(
    "shadowed",
    *(sa.Column(name, kind, nullable=False) for name, kind in (("shadow", sa.Integer), ("served", LONG))),
    *(_maybe("answer"), _maybe("fault")),
    unique=("shadow", "served"),
    number=LONG,
)
"""What a version said in shadow. `shadow`: `seq` in `shadows`; `served`: `seq` in `served`; `answer`: as JSON; `fault`: why there is none.
Goes with the rows of `served`."""
gaps = _table(
    "gaps",
    sa.Column("shadow", sa.Integer, nullable=False),
    *(sa.Column(name, LONG, nullable=False) for name in ("first", "last", "row_count")),
    unique=("shadow", "first"),
)
"""Rows of `served` that a version was not asked about, because too many waited: from `first` to `last`."""
checkups = _table("checkups", *map(_text, ("checkup", "source", "name", "delivery")), sa.Column("facts", sa.JSON), unique=("checkup",))
"""What was found of a delivery's health, rule by rule. `checkup`: digest of the delivery and of what it was held against."""
revocations = _table(
    "revocations",
    *map(_text, ("batch", "reason", "person")),
    *(sa.Column("revoked", sa.Boolean, nullable=False), sa.Column("after", sa.Integer, nullable=False)),
    unique=("batch", "after"),
)
"""A published batch that a person has taken back, or given back; the newest row for a batch counts. `after`: `seq` of the row before it
for that batch (0: the first)."""
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("lease", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("fence", "beat")),
    _text("owner"),
)
"""Who works at this moment; the one table whose rows change. `fence` grows whenever a lease changes hands, `beat` while its owner lives;
`owner` is empty when nobody has it."""
