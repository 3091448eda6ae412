"""Gladys Companion: takes what phones tell a cloud gateway home, durably, once, in order, with a receipt."""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    # Reading the metadata costs some milliseconds of every start, and few ask.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("gladys-companion")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
