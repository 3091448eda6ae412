"""Several processes or real peers at once."""
