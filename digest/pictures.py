"""Strangers' pictures → small ones of our own: decoded within bounds, stripped of all but the pixels, written anew."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

#: what is decoded at all: the codecs that browsers' pictures need
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: a picture with more than this is refused before a pixel is decoded; about 80 MB while it is at work
PIXELS = 12_000_000
WIDTH, HEIGHT = 480, 640
#: bytes that a picture should have at most
SIZE = 20_000
_QUALITIES = (80, 65, 50, 35, 20)


class NotAPicture(Exception):
    """What was sent cannot be shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    image: bytes  # WebP
    width: int
    height: int
    version: str  # names the bytes


def small(sent: bytes) -> Picture:
    """The first frame of a PNG, JPEG, WebP or GIF, at most 480 × 640, as WebP of about 20 kB or less.

    Raises NotAPicture, and nothing else, whatever was sent.
    """
    try:
        return _written(_decoded(sent))
    except NotAPicture:
        raise
    except Exception as error:  # Pillow's codecs raise a dozen kinds for what is damaged or made to harm
        raise NotAPicture(f"the picture cannot be read: {error}") from error


def _decoded(sent: bytes) -> Image.Image:
    with Image.open(io.BytesIO(sent), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > PIXELS:
            raise NotAPicture(f"the picture has {width} × {height} pixels, more than {PIXELS:,}")
        if width < 2 or height < 2:
            raise NotAPicture("the picture is a dot")
        # What has colours of its own is made small first: a copy of all its pixels would take twice the memory.
        seen = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGBA")
        seen.thumbnail((WIDTH, HEIGHT))
        seen = seen.convert("RGBA")
    # A new picture has none of the old one's metadata; what shines through shines on white.
    clean = Image.new("RGB", seen.size, "white")
    clean.paste(seen, mask=seen.getchannel("A"))
    return clean


def _written(picture: Image.Image) -> Picture:
    while True:
        for quality in _QUALITIES:
            file = io.BytesIO()
            picture.save(file, "WEBP", quality=quality, method=4)
            if file.tell() <= SIZE:
                break
        if file.tell() <= SIZE or picture.width < WIDTH // 4:
            break
        picture = picture.resize((picture.width * 3 // 4, max(1, picture.height * 3 // 4)))
    image = file.getvalue()
    return Picture(image, picture.width, picture.height, hashlib.sha256(image).hexdigest()[:16])
