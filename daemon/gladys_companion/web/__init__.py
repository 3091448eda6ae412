"""The local API: every route on a Unix socket for the command line, the reading ones and a page on loopback."""
