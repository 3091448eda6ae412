"""QR codes on pages."""

from __future__ import annotations

import asyncio

__all__ = ["qr_picture"]


async def qr_picture(text: str, scale: int) -> str:
    """Return the address (``data:``) of a picture, so many pixels for each module; black on white in either theme."""
    return await asyncio.to_thread(_picture, text, scale)


def _picture(text: str, scale: int) -> str:
    import segno  # noqa: PLC0415 - only who shows one pays for it

    made: str = segno.make(text, error="m").svg_data_uri(scale=scale, border=4, dark="#000", light="#fff")
    return made
