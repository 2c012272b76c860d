"""The checks in their order, cheap and fatal first. To add one, write the function and put its name here."""

from __future__ import annotations

from collections.abc import Callable

from evergreen.gate.checks_artefact import behaviour, cost, parity, representativeness
from evergreen.gate.checks_calibration import calibration
from evergreen.gate.checks_data import data, finite, hygiene, provenance, size
from evergreen.gate.checks_leakage import leakage
from evergreen.gate.checks_model import baseline, champion
from evergreen.gate.checks_quality import generalization, slices, stability
from evergreen.gate.checks_shadow import shadow
from evergreen.gate.evidence import Evidence
from evergreen.gate.finding import Finding
from evergreen.policies import GatePolicy

Check = Callable[[Evidence, GatePolicy, float], Finding]
"""A pure function of evidence, policy and the ledger's alpha, named as its finding's `check`."""

CHECKS: tuple[Check, ...] = (
    *(provenance, data, finite, size, hygiene, leakage, parity),
    *(baseline, generalization, champion, slices, calibration, stability),
    *(behaviour, cost, representativeness, shadow),
)
