"""Simulated devices that real libraries take for real ones, for the demo, for tests and for authors of plug-ins."""
