"""Sans-I/O: bytes and text to typed values and back. Nothing here opens a socket or reads a clock."""
