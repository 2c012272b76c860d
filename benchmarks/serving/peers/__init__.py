"""What runs inside other servers, each in an environment of its own: nothing here imports Evergreen."""
