"""How often is the gate wrong? A zoo of candidates whose truth is known, and everything that is measured on it."""
