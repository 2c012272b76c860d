"""What every worker needs, imported once by the process that they are forked from, and by no other; no problem's code and no model is."""

# ruff: noqa: F401 - to be imported is all that these are for
import gc
import os

import msgpack
import pandas
import pyarrow.parquet
import scipy.special
import sklearn.compose
import sklearn.ensemble
import sklearn.linear_model
import sklearn.model_selection
import sklearn.pipeline
import skops.io
import threadpoolctl
import yaml  # type: ignore[import-untyped]  # its stubs are not among the locked packages

from evergreen import artefact, candidate, prediction
from evergreen.gate import evidence
from evergreen.serving import frames, worker

pyarrow.set_cpu_count(1)
# Whoever ends the front by its process group, as a terminal does, leaves this process to the front, which still needs it.
os.setpgid(0, 0)
# A child that looks for cycles would write into all of this, and have a copy of its own of it.
gc.collect()
gc.freeze()
