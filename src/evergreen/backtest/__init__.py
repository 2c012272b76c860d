"""The backtest of the retraining policy: the data that are there, played again under several policies with the same gate."""
