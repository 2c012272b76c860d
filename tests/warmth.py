"""What the command imports late, or works out once: done by the process that tests fork their commands from, so that none waits."""

import gc
from importlib import import_module

from mlflow.utils.requirements_utils import _init_packages_to_modules_map
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from evergreen.report import drawing

LATE = (
    *("matplotlib.backends.backend_svg", "matplotlib.figure", "pyarrow.dataset", "mlflow.pyfunc", "supervisor.xmlrpc", "alembic.command"),
    *("mlflow.store.model_registry.sqlalchemy_workspace_store", "mlflow.store.tracking.sqlalchemy_workspace_store"),
    *("prefect.flow_engine", "prefect.task_engine", "prefect.utilities.visualization", "prefect.concurrency.context"),
    *("anyio._backends._asyncio", "rich._emoji_codes", "narwhals.stable.v2", "narwhals._pandas_like.dataframe"),
    *("sklearn.ensemble", "sklearn.model_selection", "workspaces"),
)
for name in LATE:
    import_module(name)
_init_packages_to_modules_map()  # which of all installed packages has which module: a second, in each process that packs a model
drawing.svg(drawing.blank(100)[0], "nothing", "Nothing", "No plot.")  # the fonts are looked for
# As with a server of the command's own: at the end of each flow Prefect waits for the thread that sends heartbeats.
_held = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
_held.__enter__()
# Whoever is forked neither looks through nor copies what was here before.
gc.collect()
gc.freeze()
