"""The journal's tables from one version of Evergreen to the next. Alembic reads the files in `versions`; `env` tells it where."""
