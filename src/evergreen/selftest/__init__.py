"""The self-test of the gate: defects planted into the user's own data and estimator, each of which must be refused."""
