"""Checks without which no bad kind gets through, and why they stay."""

IN_DEPTH = {
    "baseline": "what is surely worse than no model is also worse than the champion here; it judges first models, which have no champion",
    "budget": "each candidate here is the year's first; the simulated year spends the budget",
}
