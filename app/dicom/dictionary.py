"""The names that an attribute can be called by: its tag or its keyword (PS3.6).

Tags are 8 upper-case hex digits here, as in the DICOM JSON model.
"""

import re

from pydicom import datadict

_TAG = re.compile(r"[0-9A-F]{8}")
_TAGS = {keyword.lower(): f"{tag:08X}" for keyword, tag in datadict.keyword_dict.items() if keyword}

_TAGS |= {
    entry[4].lower(): mask.upper().replace("X", "0")
    for mask, entry in datadict.RepeatersDictionary.items()
    if entry[4].lower() not in _TAGS and mask.startswith("60xx")
}


def tag_of(name: str) -> str | None:
    """The tag of an attribute called by its tag or keyword, in any case; None if there is none.

    Of overlays the keyword is that of the first one.

    A private tag is taken as it is: which attribute it means depends on the instance.
    """
    tag = name.upper()
    if not _TAG.fullmatch(tag):
        return _TAGS.get(name.lower())
    return tag if is_private(tag) or vr_of(tag) is not None else None


def vr_of(tag: str) -> str | None:
    """The VR of a standard attribute, as the dictionary has it (`US or SS`); None if unknown."""
    try:
        vr: str = datadict.dictionary_VR(int(tag, 16))
    except KeyError:
        return None
    return vr


def keyword_of(tag: str) -> str:
    """The keyword of a standard attribute, and the tag itself of any other."""
    return datadict.keyword_for_tag(int(tag, 16)) or tag


def is_private(tag: str) -> bool:
    """Whether the attribute is private: the meaning is that of the group's private creator."""
    return int(tag[:4], 16) % 2 == 1


def private_creator_of(tag: str) -> str:
    """The tag of the element that names the creator of this private attribute (PS3.5 7.8.1)."""
    return f"{tag[:4]}00{tag[4:6]}"


def is_private_creator(tag: str) -> bool:
    """Whether the element names the creator of a block of private attributes (PS3.5 7.8.1)."""
    return is_private(tag) and tag[4:6] == "00" and tag[6:] >= "10"
