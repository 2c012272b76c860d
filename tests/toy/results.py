"""What else came of the toy shop's orders: what each earned, and what its customer wanted. It is drawn apart from the orders."""

import numpy as np
import pandas as pd

CLASSES = ("exchange", "keep", "return")
EARNED = {"book": 3.0, "lamp": 8.0, "shoe": -4.0, "sofa": -25.0}
WISHED = {"book": (-1.5, 1.5, -1.0), "lamp": (0.0, 1.5, -0.5), "shoe": (1.8, -0.5, 0.0), "sofa": (-1.0, 0.0, 1.5)}


def results_of(day: int, orders: pd.DataFrame, levels: np.ndarray) -> pd.DataFrame:
    """For each order of a day `profit` in EUR, often below zero, and `wish`, one of CLASSES."""
    rng = np.random.default_rng([77, day])
    amount = orders["amount"].to_numpy()
    earned = orders["product"].map(EARNED).to_numpy(dtype=float) + 0.4 * amount - 10 * amount / levels
    strength = np.array([WISHED[name] for name in orders["product"]]) + np.outer((amount - 30) / 20, (0.0, -0.6, 0.6))
    chosen = (strength + rng.gumbel(size=strength.shape)).argmax(axis=1)
    return pd.DataFrame({"profit": (earned + rng.normal(0, 4, len(orders))).round(2), "wish": np.array(CLASSES)[chosen]})
