"""Where events go besides devices, one file or folder each."""
