"""The gate: from evidence on unseen rows to PROMOTE, HOLD or REJECT. It loads no model and knows no MLflow."""
