"""The API beside other servers of models, on the same model and the same rows."""
