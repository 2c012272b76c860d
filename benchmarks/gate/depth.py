"""Checks without which no bad kind gets through, and why they stay."""

IN_DEPTH = {
    "size": "so few rows or days are held by `champion`, too; it says how many are missing, and spares the error budget",
    "baseline": "what is surely worse than no model is also worse than the champion here; it judges first models, which have no champion",
    "calibration": "what is off costs more here, so `champion` objects as well; it judges first models, and what leaves no trace in costs",
    "cost": "what is slow or large here is no better, so `champion` objects as well; it judges first models, and those that are better",
    "budget": "each candidate here is the year's first; the simulated year spends the budget",
}
