"""Pictures of strangers come out as plain JPEGs, or not at all."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageStat

from bridge.core.errors import PermanentError
from bridge.dispatch.photo_image import MAX_SCANS, reencode

ORIENTATION, GPS = 0x0112, 0x8825
SECRET = b"Dorpsstraat 1"


def picture(form: str = "JPEG", image: Image.Image | None = None, **options: Any) -> bytes:
    """Write a picture: 60 by 40, red on the left, blue on the right, unless another is given."""
    if image is None:
        image = Image.new("RGB", (60, 40), "blue")
        image.paste("red", (0, 0, 30, 40))
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read(jpeg: bytes) -> Image.Image:
    """Read a result, which must be a JPEG."""
    image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
    image.load()
    return image


def clean(data: bytes) -> Image.Image:
    """Encode a picture anew with the usual limits."""
    return read(reencode(data, max_pixels=40_000_000, max_side=1600))


def colour(image: Image.Image, x: int, y: int) -> str:
    """Name the strongest colour of a pixel."""
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return "white" if min(pixel) > 240 else ("red", "green", "blue")[pixel.index(max(pixel))]


def exif(orientation: int = 1) -> Image.Exif:
    """Give what a telephone writes: how it was held, where it was, and whose it is."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    data[0x013B] = SECRET.decode()
    data.get_ifd(GPS).update({1: "N", 2: (52.0, 10.0, 48.0), 3: "E", 4: (4.0, 29.0, 42.0)})
    return data


def chunk(kind: bytes, data: bytes) -> bytes:
    """Give one chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """Give a small PNG that claims to be of this size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    """Give a small JPEG that claims to be of this size."""
    data = bytearray(picture())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_header(width: int, height: int) -> bytes:
    """Give a small GIF that claims to be of this size."""
    data = bytearray(picture("GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_each_allowed_format_becomes_a_jpeg(form: str) -> None:
    """The four formats of the web come out as a JPEG of the same size and colours."""
    result = clean(picture(form))
    assert (result.size, result.mode) == ((60, 40), "RGB")
    assert (colour(result, 5, 20), colour(result, 55, 20)) == ("red", "blue")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_pixels_comes_through(form: str) -> None:
    """Place, owner, colour profile, comment and XMP of the original are in no byte of the result (R14)."""
    options: dict[str, Any] = {"exif": exif(), "icc_profile": b"profile " + SECRET, "xmp": b"<x>" + SECRET + b"</x>"}
    if form == "JPEG":
        options["comment"] = SECRET
    original = picture(form, **options)
    assert SECRET in original
    jpeg = reencode(original, max_pixels=10_000, max_side=100)
    assert SECRET not in jpeg
    result = read(jpeg)
    assert not result.getexif()
    assert set(result.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (60, 40), (5, 20)), (3, (60, 40), (55, 20)), (6, (40, 60), (20, 5)), (8, (40, 60), (20, 55))],
)
def test_a_picture_stands_upright(orientation: int, size: tuple[int, int], red_at: tuple[int, int]) -> None:
    """How the camera was held is worked into the pixels, for the note about it is taken out."""
    result = clean(picture(exif=exif(orientation)))
    assert result.size == size
    assert colour(result, *red_at) == "red"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_what_is_transparent_becomes_white(form: str) -> None:
    """A cut-out stands on white, whatever colour hides under its transparency."""
    image = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 30, 40))
    result = clean(picture(form, image))
    assert (colour(result, 5, 20), colour(result, 55, 20)) == ("red", "white")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "CMYK", "I;16", "RGBA"])
def test_any_way_to_keep_colours_is_read(mode: str) -> None:
    """Black and white, grey, palettes, print colours and 16 bits come out at the right brightness."""
    grey = Image.new("L", (64, 64), 128 if mode != "1" else 255)
    image = Image.new("I;16", (64, 64), 128 * 256) if mode == "I;16" else grey.convert("RGBA").convert(mode)
    if mode == "PA":
        image = grey.convert("RGBA").quantize(2)
    form = "JPEG" if mode == "CMYK" else "PNG"
    [mean, *_] = ImageStat.Stat(clean(picture(form, image))).mean
    assert mean == pytest.approx(255 if mode == "1" else 128, abs=4)


@pytest.mark.parametrize(
    ("size", "expected"), [((3000, 1000), (100, 33)), ((90, 200), (45, 100)), ((80, 60), (80, 60))]
)
def test_a_large_picture_is_made_smaller_and_a_small_one_left(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """No side of the result is longer than asked, the shape stays, and nothing is blown up."""
    for form in ("JPEG", "PNG"):
        assert (
            read(reencode(picture(form, Image.new("RGB", size)), max_pixels=4_000_000, max_side=100)).size == expected
        )


def test_only_the_first_frame_of_an_animation_counts() -> None:
    """A moving GIF stands still at its first frame."""
    frames = [Image.new("RGB", (20, 20), name) for name in ("red", "blue", "lime")]
    result = clean(picture("GIF", frames[0], save_all=True, append_images=frames[1:]))
    assert colour(result, 10, 10) == "red"


@pytest.mark.parametrize(
    "bomb",
    [png_header(50_000, 50_000), jpeg_header(65_500, 65_500), gif_header(65_535, 65_535), png_header(9_000, 10_000)],
    ids=["png", "jpeg", "gif", "png that makes Pillow warn"],
)
def test_a_bomb_is_refused_by_its_header(bomb: bytes) -> None:
    """A tiny file that would unpack to gigabytes is refused before anything is unpacked."""
    assert len(bomb) < 10_000
    with pytest.raises(PermanentError, match="photo: "):
        clean(bomb)


def test_the_limit_on_pixels_is_exact() -> None:
    """As many pixels as allowed pass, one row more is refused with both numbers."""
    reencode(picture("PNG", Image.new("1", (100, 100))), max_pixels=10_000, max_side=100)
    with pytest.raises(PermanentError, match="100 by 101 pixels, at most 10000"):
        reencode(picture("PNG", Image.new("1", (100, 101))), max_pixels=10_000, max_side=100)


def test_a_jpeg_with_endless_scans_is_refused() -> None:
    """Passes over the picture cost time and no bytes, so their number is limited; a usual progressive JPEG passes."""
    usual = picture(progressive=True)
    clean(usual)
    scan = usual[usual.rindex(b"\xff\xda") : -2]
    with pytest.raises(PermanentError, match="scans"):
        clean(usual[:-2] + scan * MAX_SCANS + usual[-2:])


def test_a_film_behind_a_jpeg_does_not_count_as_scans() -> None:
    """Telephones hang a film behind a photo; what follows the end of the image is neither counted nor kept."""
    film = b"\xff\xda" * 1000 + SECRET
    assert SECRET not in reencode(picture() + film, max_pixels=10_000, max_side=100)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_half_a_file_is_refused(form: str) -> None:
    """A picture that was cut off is not shown half."""
    noise = picture(form, Image.effect_noise((200, 200), 80).convert("RGB"))
    with pytest.raises(PermanentError, match="not a readable"):
        clean(noise[: len(noise) // 2])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><title>photo</title>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        picture("BMP"),
        picture("TIFF"),
        picture("ICO"),
        picture("PPM"),
    ],
    ids=["empty", "svg", "html", "eps", "bmp", "tiff", "ico", "ppm"],
)
def test_no_other_format_is_tried(data: bytes) -> None:
    """Only the four formats reach a decoder; all else is refused with one line."""
    with pytest.raises(PermanentError, match="not a readable JPEG, PNG, WebP or GIF") as refused:
        clean(data)
    assert "\n" not in str(refused.value)


SEEDS = [
    picture(exif=exif(6), icc_profile=b"profile", comment=SECRET),
    picture(progressive=True),
    picture("PNG", exif=exif(3)),
    picture("WEBP", exif=exif(8)),
    picture("GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "lime")]),
]


@given(seed=st.sampled_from(SEEDS), edits=st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=4)), max_size=5))
def test_a_damaged_file_gives_a_clean_jpeg_or_a_refusal(seed: bytes, edits: list[tuple[int, bytes]]) -> None:
    """Whatever bytes are changed, the result is a bounded JPEG or a ``PermanentError``, and never another error."""
    damaged = bytearray(seed)
    for position, piece in edits:
        at = position % len(damaged)
        damaged[at : at + max(1, len(piece))] = piece
        damaged = damaged or bytearray(b"\0")
    try:
        result = reencode(bytes(damaged), max_pixels=1_000_000, max_side=100)
    except PermanentError:
        return
    assert max(read(result).size) <= 100
    assert SECRET not in result
