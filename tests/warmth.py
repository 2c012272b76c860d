"""What the command imports late, or works out once: done by the process that tests fork their commands from, so that none waits."""

from importlib import import_module

from mlflow.utils.requirements_utils import _init_packages_to_modules_map

LATE = (
    *("matplotlib.backends.backend_svg", "matplotlib.figure", "pyarrow.dataset", "mlflow.pyfunc"),
    *("mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store"),
)
for name in LATE:
    import_module(name)
_init_packages_to_modules_map()  # which of all installed packages has which module: a second, in each process that packs a model
