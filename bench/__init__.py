"""Measures what the path of an event costs, end to end; ``python -m bench`` prints JSON."""
