"""The Native DICOM Model in XML (PS3.19 A.1): a data set of the DICOM JSON model, written and read.

    dumps(attributes) -> bytes        loads(xml) -> attributes
    pieces(attributes) -> texts

Rules:
- What is read may come from anybody: there is no document type, so no entity and nothing that is
  fetched, and elements that the model does not have are refused. Reading takes time and memory
  proportional to the length of the XML.
- The namespace of the model is written, and may be missing from what is read, as with dcm4che.
- A private attribute is called by its creator, not by its block (`app.dicom.privateblocks`). The
  elements that name creators are written too, so that it has its block again when it is read.
- Decimal texts (DS, IS) are read as they are written, since `1.50` and `1.5` are other bytes.
- Characters that XML 1.0 cannot hold, most control characters among them, become U+FFFD.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Protocol
from xml.parsers import expat

from app.dicom.dataset import Attributes, Unreadable
from app.dicom.dictionary import is_private, is_private_creator, keyword_of
from app.dicom.privateblocks import Creators, Private, put_into_blocks, there_twice
from app.dicom.values import in_plain_digits

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_ESCAPES: dict[int, str] = (
    dict.fromkeys([*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd")
    | {ord("\t"): "&#9;", ord("\n"): "&#10;", ord("\r"): "&#13;"}
    | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
)


_BEGIN = (
    f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}"'
    ' xml:space="preserve">'
)
_END = "</NativeDicomModel>"


class Level(Protocol):
    """A data set or an item: a mapping, or what is read while it is written."""

    def items(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """The elements by their tags, in ascending order."""


def dumps(attributes: Level) -> bytes:
    """The XML document of a data set, UTF-8."""
    return "".join(pieces(attributes)).encode()


def pieces(attributes: Level) -> Iterator[str]:
    """The same in pieces, however long it is."""
    return chain((_BEGIN,), _level(attributes), (_END,))


def _level(attributes: Level) -> Iterator[str]:
    creators = Creators()
    for tag, element in attributes.items():
        if is_private_creator(tag):
            creators.note(tag, element)
        yield _begin_of_attribute(tag, element["vr"], creators)
        if "BulkDataURI" in element:
            yield f'<BulkData uri="{_escaped(element["BulkDataURI"])}"/>'
        elif "InlineBinary" in element:
            yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
        else:
            write = _WRITERS.get(element["vr"], _text)
            for number, value in enumerate(element.get("Value") or (), start=1):
                yield from write(number, value)
        yield "</DicomAttribute>"


def _begin_of_attribute(tag: str, vr: str, creators: Creators) -> str:
    name = ""
    if not is_private(tag):
        keyword = keyword_of(tag)
        name = "" if keyword == tag else f' keyword="{keyword}"'
    elif creator := creators.of(tag):
        tag, name = f"{tag[:4]}00{tag[6:]}", f' privateCreator="{_escaped(creator)}"'
    return f'<DicomAttribute tag="{tag}" vr="{vr}"{name}>'


def _text(number: int, value: Any) -> Iterator[str]:
    text = "" if value is None else _escaped(value)
    yield f'<Value number="{number}">{text}</Value>'


def _person_name(number: int, value: Mapping[str, str] | None) -> Iterator[str]:
    yield f'<PersonName number="{number}">'
    for group in _GROUPS:
        if group in (value or {}):
            assert value is not None
            components = value[group].split("^", len(_COMPONENTS) - 1)
            named = zip(_COMPONENTS, map(_escaped, components), strict=False)
            yield f"<{group}>"
            yield from (f"<{name}>{text}</{name}>" for name, text in named)
            yield f"</{group}>"
    yield "</PersonName>"


def _item(number: int, value: Level | None) -> Iterator[str]:
    yield f'<Item number="{number}">'
    yield from _level(value or {})
    yield "</Item>"


_WRITERS: dict[str, Callable[[int, Any], Iterator[str]]] = {"PN": _person_name, "SQ": _item}


def _escaped(value: Any) -> str:
    return str(value).translate(_ESCAPES)


def loads(xml: bytes, *, nesting: int = 64) -> Attributes:
    """The data set of an XML document. Raises `Unreadable`.

    `nesting`: how deep sequences may be in sequences. A VR that is not given is "", texts that are
    no numbers where numbers belong stay texts: whoever encodes the data set sees to that.
    """
    return _Reader(nesting).read(xml)


_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_LEFT_OUT = 100_000
"""Values without content may be left out; a document that leaves out more is no honest one."""

_IN_ATTRIBUTE = ("Value", "PersonName", "BulkData", "InlineBinary", "Item")
_PARENTS: dict[str, tuple[str, ...]] = {
    "NativeDicomModel": ("",),
    "DicomAttribute": ("NativeDicomModel", "Item"),
    **dict.fromkeys(_IN_ATTRIBUTE, ("DicomAttribute",)),
    **dict.fromkeys(_GROUPS, ("PersonName",)),
    **dict.fromkeys(_COMPONENTS, _GROUPS),
}
"""The elements of the model, and in which others they stand."""
_ENCODINGS = {"utf-8", "utf-16", "us-ascii", "iso-8859-1"}
"""Others would be looked up among the codecs of Python."""
_TEXTS = {"Value", "InlineBinary", *_COMPONENTS}
_INTEGERS = {"SL", "SS", "SV", "UL", "US", "UV"}
_FLOATS = {"FD", "FL"}
_NO_NUMBERS_OF_JSON = {"NaN", "Infinity", "-Infinity"}


class _Reader:
    """What has been read so far: the open XML elements, and the values they are becoming."""

    def __init__(self, nesting: int) -> None:
        self._nesting = nesting
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.XmlDeclHandler = self._check_encoding
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._open: list[str] = [""]
        self._levels: list[Attributes] = []
        self._private: list[Private] = []
        """Of each level, what is called by its creator."""
        self._tags: list[str] = []
        self._elements: list[dict[str, Any]] = []
        self._text: list[str] = []
        self._components: dict[str, str] = {}
        self._person_name: dict[str, str] = {}
        self._left_out = 0

    def read(self, xml: bytes) -> Attributes:
        root: Attributes = {}
        self._begin_level(root)
        try:
            self._parser.Parse(xml, True)
        except expat.ExpatError as error:
            raise Unreadable(f"the XML is malformed: {error}") from None
        self._end_level()
        return root

    def _begin_level(self, attributes: Attributes) -> None:
        self._levels.append(attributes)
        self._private.append({})

    def _end_level(self) -> None:
        put_into_blocks(self._levels.pop(), self._private.pop())

    def _broken(self, why: str) -> Unreadable:
        tag = self._tags[-1] if self._tags else None
        return Unreadable(f"{why}, in line {self._parser.CurrentLineNumber} of the XML", tag=tag)

    def _check_encoding(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding or "utf-8").lower() not in _ENCODINGS:
            raise self._broken(f"the encoding {encoding!r} is not taken")

    def _refuse_doctype(self, *_: object) -> None:
        raise self._broken("a document type is not taken")

    def _start(self, name: str, given: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if space not in {"", NAMESPACE} or self._open[-1] not in _PARENTS.get(local, ()):
            raise self._broken(f"there is no place for an element {local[:40]!r}")
        self._open.append(local)
        self._text = []
        match local:
            case "DicomAttribute":
                self._start_attribute(given)
            case "Item":
                self._start_item(given)
            case "Value" | "PersonName":
                self._value_at(given, None)
                self._person_name = {}
            case "BulkData":
                uri = given.get("uri") or given.get("uuid")
                if not uri:
                    raise self._broken("bulk data have no URI")
                self._put(self._element, "BulkDataURI", uri)
            case "Alphabetic" | "Ideographic" | "Phonetic":
                self._components = {}

    def _end(self, _: str) -> None:
        local, text = self._open.pop(), "".join(self._text)
        self._text = []
        match local:
            case "DicomAttribute":
                self._tags.pop()
                self._elements.pop()
            case "Item":
                self._end_level()
            case "InlineBinary":
                self._put(self._element, "InlineBinary", "".join(text.split()))
            case "Value":
                self._element["Value"][-1] = self._converted(text)
            case "PersonName":
                self._element["Value"][-1] = self._person_name or None
            case "Alphabetic" | "Ideographic" | "Phonetic":
                self._put(self._person_name, local, self._name())
            case component if component in _COMPONENTS:
                self._put(self._components, component, text)

    def _put(self, into: dict[str, Any], name: str, value: str) -> None:
        if name in into:
            raise self._broken(f"{name} is there twice")
        into[name] = value

    def _characters(self, text: str) -> None:
        if self._open[-1] in _TEXTS:
            self._text.append(text)
        elif text.strip():
            raise self._broken("there is no place for a text")

    @property
    def _element(self) -> dict[str, Any]:
        return self._elements[-1]

    def _start_attribute(self, given: Mapping[str, str]) -> None:
        tag = given.get("tag", "").upper()
        if not _TAG.fullmatch(tag):
            raise self._broken(f"{tag[:40]!r} is no tag")
        self._tags.append(tag)
        self._elements.append({"vr": given.get("vr", "")})
        siblings, name = self._levels[-1], tag
        creator = given.get("privateCreator", "").strip(" ")
        if creator and is_private(tag):
            siblings, name = self._private[-1].setdefault((tag[:4], creator), {}), tag[6:]
        if name in siblings:
            raise there_twice(tag)
        siblings[name] = self._elements[-1]

    def _start_item(self, given: Mapping[str, str]) -> None:
        if len(self._levels) > self._nesting:
            raise self._broken("sequences are nested too deeply")
        item: Attributes = {}
        self._value_at(given, item)
        self._begin_level(item)

    def _value_at(self, given: Mapping[str, str], value: Any) -> None:
        """Add a value at its number; those before it that are left out have no content."""
        values: list[Any] = self._element.setdefault("Value", [])
        number = given.get("number", str(len(values) + 1))
        gap = int(number) - len(values) - 1 if _NUMBER.fullmatch(number) else -1
        self._left_out += gap
        if gap < 0 or self._left_out > _MOST_LEFT_OUT:
            raise self._broken(f"{number[:40]!r} is not the number of the next value")
        values += [None] * gap
        values.append(value)

    def _converted(self, text: str) -> Any:
        vr = self._element["vr"]
        try:
            if vr in _INTEGERS and in_plain_digits(text):
                return int(text)
            if vr in _FLOATS and in_plain_digits(text) and text not in _NO_NUMBERS_OF_JSON:
                return float(text)
        except ValueError:
            pass
        return text or None

    def _name(self) -> str:
        """The components up to the last one that is there, as they stand in a value."""
        last = max((_COMPONENTS.index(name) for name in self._components), default=-1)
        return "^".join(self._components.get(name, "") for name in _COMPONENTS[: last + 1])
