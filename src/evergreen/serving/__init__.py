"""The champion behind an API: a front process that speaks HTTP, and a worker process for each version of the model."""
