"""One suite per port, run against every plug-in."""
