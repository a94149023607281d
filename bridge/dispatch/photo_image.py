"""Make a picture of a stranger safe to show: decoded within limits, and encoded anew with nothing but its pixels."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib

from PIL import Image, ImageOps

from bridge.core.errors import PermanentError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
QUALITY = 85
MAX_SCANS = 100
"""A progressive JPEG has about ten scans; each one costs a pass over all pixels and can take next to no bytes."""

# Pillow warns where a file contradicts itself; such a file is refused. The filter is set once and for Pillow's modules
# only, because ``warnings.catch_warnings`` in a thread would change the filters of the whole process.
warnings.filterwarnings("error", module=r"PIL\.")

# What Pillow's decoders can raise for a broken file: there is no common base, and the file comes from a stranger.
_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_JPEG_START = b"\xff\xd8"
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd8\xff])")
_SCAN, _END = b"\xda", b"\xd9"


def reencode(picture: bytes, *, max_pixels: int, max_side: int) -> bytes:
    """Read one picture and write it as a JPEG of at most ``max_side`` pixels a side.

    Upright, on white where it was transparent, the first frame only, and without any metadata. This takes up to seconds
    of computing: call it in a thread. Raises ``PermanentError`` for what is no JPEG, PNG, WebP or GIF, has more than
    ``max_pixels``, or is broken.
    """
    if picture.startswith(_JPEG_START) and _scans(picture) > MAX_SCANS:
        raise PermanentError(f"photo: a JPEG with more than {MAX_SCANS} scans")
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as image:
            _check_size(image.size, max_pixels)
            return _encode(_upright(image, max_side))
    except _UNREADABLE as error:
        # The message may quote the file, so only the kind of the error is told.
        raise PermanentError(f"photo: not a readable JPEG, PNG, WebP or GIF ({type(error).__name__})") from None


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse by the size in the header, before a pixel is decoded."""
    width, height = size
    if width * height > max_pixels:
        raise PermanentError(f"photo: {width} by {height} pixels, at most {max_pixels} are decoded")


def _upright(image: Image.Image, max_side: int) -> Image.Image:
    """Decode, scale down and turn as the camera was held; small first, for the other steps copy the picture."""
    image.draft("RGB", (max_side, max_side))  # a JPEG decodes at half, quarter or eighth size; others ignore it
    image.load()
    if image.mode == "I;16":  # Pillow would cut off all above 255 and show a scan in 16 bits as white
        image = image.point(lambda value: value / 256)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    colours = image if image.mode == mode else image.convert(mode)
    colours.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return ImageOps.exif_transpose(colours)


def _encode(image: Image.Image) -> bytes:
    """Put the pixels on a new white canvas, which has no metadata that could come along."""
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image if image.mode == "RGBA" else None)
    jpeg = io.BytesIO()
    canvas.save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def _scans(jpeg: bytes) -> int:
    """Count the scans up to the end of the image (ITU-T T.81, annex B); stop as soon as there are too many."""
    scans, position = 0, len(_JPEG_START)
    while scans <= MAX_SCANS and (marker := _JPEG_MARKER.search(jpeg, position)) and marker[1] != _END:
        scans += marker[1] == _SCAN
        position = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans
