"""The application: Prefect flows and the command line. Orchestration only; what a step does is in `evergreen`."""
