"""Colour profiles of rendered images (PS3.18 8.3.5.1.5): which one, and pixels brought into it.

    image, profile = in_profile(image, ColourSpace.SRGB, source)

`source` is the profile that the data set or the codestream has, if it has one; without a usable one
the colours are taken for sRGB. An image of grey becomes one of colour, since the profiles are of
red, green and blue. What is made here are ICC.1:2010 matrix profiles.
"""

import base64
import binascii
import io
import struct
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageCms

from app.dicom.jsonvalues import items_of
from app.dicom.lookup import bulk_path
from app.dicom.viewport import Image


class ColourSpace(StrEnum):
    """What is asked for; values as PS3.18 spells them."""

    NONE = "no"
    OWN = "yes"
    """The colours as they are, and the profile that describes them."""
    SRGB = "srgb"
    ADOBE_RGB = "adobergb"
    ROMM_RGB = "rommrgb"


_PROFILE, _OPTICAL_PATHS = "00282000", "00480105"
_LONGEST_PROFILE = 4 * 1024 * 1024

_D50 = 0.9642, 1.0, 0.8249
_SRGB_CURVE = 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045
_MATRICES = {
    ColourSpace.SRGB: (
        "sRGB IEC61966-2.1",
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)),
        _SRGB_CURVE,
    ),
    ColourSpace.ADOBE_RGB: (
        "Adobe RGB (1998) compatible",
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
        (563 / 256, 1.0, 0.0, 0.0, 0.0),
    ),
    ColourSpace.ROMM_RGB: (
        "ROMM RGB ISO 22028-2",
        ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)),
        (1.8, 1.0, 0.0, 1 / 16, 1 / 32),
    ),
}
"""Of each space a name, its red, green and blue under D50, and g, a, b, c and d of its curve."""


def profile_paths(attributes: Mapping[str, Any]) -> list[str]:
    """The path of the ICC Profile of an instance, if it lies outside the JSON."""
    found = (bulk_path(element) for element in _profiles(attributes))
    return [path for path in found if path is not None][:1]


def profile_of(attributes: Mapping[str, Any], bulk: Mapping[str, bytes]) -> bytes:
    """The ICC Profile of an instance, or of its first optical path; b"" if there is none."""
    for element in _profiles(attributes):
        path = bulk_path(element)
        try:
            data = (
                bulk.get(path, b"")
                if path
                else base64.b64decode(element.get("InlineBinary", ""), validate=True)
            )
        except (binascii.Error, ValueError, TypeError):
            continue
        if 0 < len(data) <= _LONGEST_PROFILE:
            return data
    return b""


def _profiles(attributes: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if _PROFILE in attributes:
        yield attributes[_PROFILE]
    for item in items_of(attributes, _OPTICAL_PATHS)[:1]:
        yield item.get(_PROFILE, {})


def in_profile(image: Image, space: ColourSpace, source: bytes) -> tuple[Image, bytes]:
    """The image in the colour space, and the profile to embed; not `ColourSpace.NONE`."""
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    own = source if image.ndim == 3 and _opened(source) else well_known(ColourSpace.SRGB)
    if space is ColourSpace.OWN:
        return rgb, own
    wanted = well_known(space)
    if wanted == own:
        return rgb, wanted
    converted = ImageCms.profileToProfile(
        PIL.Image.fromarray(np.ascontiguousarray(rgb)), _opened(own), _opened(wanted)
    )
    assert converted is not None
    return np.asarray(converted), wanted


def _opened(profile: bytes) -> Any:
    """The profile, or None if it is none of RGB."""
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        return None
    return opened if opened.profile.xcolor_space.strip() == "RGB" else None


@cache
def well_known(space: ColourSpace) -> bytes:
    """The profile of one of the spaces that have a name."""
    name, primaries, curve = _MATRICES[space]
    parametric = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, curve))
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(_D50),
        **{
            b"%cXYZ" % colour: _xyz(primary)
            for colour, primary in zip(b"rgb", primaries, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), parametric),
    }
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for signature, value in tags.items():
        table += signature + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = start + len(data)
    head = struct.pack(">I4xI4s4s4s12x4s24x", size, 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head += bytes(4) + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data
