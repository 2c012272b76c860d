"""Evergreen's machinery: what keeps a model fit for its purpose. Pure library code: it knows no Prefect and no particular problem."""
