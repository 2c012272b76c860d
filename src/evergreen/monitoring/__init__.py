"""How data and models are doing in service."""
