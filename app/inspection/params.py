"""The parameters of a search for AuditEvent, as FHIR R4 and IHE's ITI-81 name them.

    date                                 when; with a prefix; several narrow one another
    agent, agent.identifier              who, as the name of the token
    address, address:exact               from where: how the address begins, or all of it
    patient, patient.identifier          whose data: ID, or ISSUER|ID
    entity, entity.identifier            which study, by its UID
    action, outcome, type, subtype       what, as codes or SYSTEM|CODE
    _id, _count, _after, _format, _sort  the last as they are sorted anyway: `-date`

Values that are separated by commas are alternatives, parameters that are repeated narrow. A comma,
a bar or a backslash within a value has a backslash before it. Whatever else is asked is refused:
who looks into an audit must not take more for what was asked for.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from app.audit import codes
from app.audit.event import Action, Outcome
from app.audit.fhir import DICOM_UID, URN_OID, issuer_of
from app.dicom import normal
from app.dicom.uids import valid_uid
from app.errors import BadRequest, InvalidParameter
from app.index.audit_search import Begins, Condition, OfKind, OfPatient, OneOf, Place, Wanted
from app.inspection.moments import Bounds, bounds_of

COUNT = 100
MOST = 1000
KEYS = 64
ALTERNATIVES = 64
AFTER = "_after"
SORTED = "-date"
_JSON = {"json", "application/json", "application/fhir+json"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**53
_ID = re.compile(r"([0-9]{1,10})-([0-9]{1,18})", re.ASCII)
_SIGN = re.compile(r"\\[\\,|$]|.", re.DOTALL)
"""A character of a value, or one that is escaped (FHIR R4, Escaping Search Parameters)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was asked for."""

    wanted: Wanted
    kept: tuple[tuple[str, str], ...]
    """The parameters, without the one for the page."""

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """All of them."""
        place = self.wanted.after
        return [*self.kept, *([(AFTER, after(*place))] if place else [])]


def read(query_string: bytes, partition_id: int) -> Asked:
    """What a query string asks for, or a form that is written alike. Raises `InvalidParameter`."""
    try:
        text = query_string.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=KEYS, errors="strict")
    except ValueError:
        raise BadRequest(f"The query is none, or has more than {KEYS} parameters.") from None
    now = datetime.now(UTC)
    bounds, conditions = Bounds(), list[Condition]()
    count, place = COUNT, None
    for name, value in pairs:
        if "\0" in value:
            raise InvalidParameter(name, value, "contains a NUL character")
        match name:
            case "date":
                bounds = bounds.narrowed(bounds_of(name, value, now))
            case "_count":
                count = _count(value)
            case "_after":
                place = _place(value)
            case "_format":
                if value not in _JSON:
                    raise InvalidParameter(name, value, "is not a format that there is")
            case "_sort":
                if value != SORTED:
                    raise InvalidParameter(name, value, f"is not {SORTED}, as they are sorted")
            case "_id":
                conditions.append(_ids(value, partition_id))
            case _:
                conditions.append(_condition(name, value))
    wanted = Wanted(
        partition_id=partition_id,
        conditions=[*conditions, *bounds.outside],
        since=bounds.since,
        until=bounds.until,
        after=place,
        limit=count,
    )
    return Asked(wanted, tuple(pair for pair in pairs if pair[0] != AFTER))


def after(at: datetime, sequence: int) -> str:
    """The value of the parameter that goes on behind a record."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}-{sequence}"


def sequence_in(identity: str, partition_id: int) -> int | None:
    """The place in the partition's chain that an id tells; None for what is no id of its own."""
    match = _ID.fullmatch(identity)
    return int(match[2]) if match and int(match[1]) == partition_id else None


def _condition(name: str, value: str) -> Condition:
    base, _, identifier = name.replace(":", ".").partition(".")
    make = _MAKERS.get(name) or _MAKERS.get(base)
    if make is None or (name not in _MAKERS and identifier not in _SPELLINGS.get(base, ())):
        raise InvalidParameter(name, value, "there is no such parameter")
    return make(name, [_token(one) for one in _alternatives(name, value)])


def _alternatives(name: str, value: str) -> list[str]:
    alternatives = _split(value, ",")
    if len(alternatives) > ALTERNATIVES:
        raise InvalidParameter(name, value, f"has more than {ALTERNATIVES} alternatives")
    return alternatives


def _split(text: str, separator: str) -> list[str]:
    """What stands between separators that are not escaped; what is escaped stays so."""
    parts = [""]
    for sign in _SIGN.findall(text):
        if sign == separator:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


_Token = tuple[str | None, str]
"""The system, if one is given, and the code or value."""


def _token(text: str) -> _Token:
    *system, value = _split(text, "|")
    return _plain("|".join(system)) if system else None, _plain(value)


def _plain(text: str) -> str:
    """The text without the backslashes by which something in it is escaped."""
    return "".join(sign[-1] for sign in _SIGN.findall(text))


def _agents(_: str, tokens: Sequence[_Token]) -> Condition:
    return OneOf("principal", [value for system, value in tokens if not system])


def _addresses(name: str, tokens: Sequence[_Token]) -> Condition:
    addresses = [value for _, value in tokens]
    if name == "address:exact":
        return OneOf("client_address", addresses)
    if "" in addresses:
        raise InvalidParameter(name, "", "is the beginning of every address")
    return Begins("client_address", addresses)


def _patients(name: str, tokens: Sequence[_Token]) -> Condition:
    patients = []
    for system, value in tokens:
        patient = normal.text(value)
        if patient is None:
            raise InvalidParameter(name, value, "is no Patient ID")
        patients.append((patient, None if system is None else issuer_of(system)))
    return OfPatient(patients)


def _studies(name: str, tokens: Sequence[_Token]) -> Condition:
    uids = [value.removeprefix(URN_OID) for _, value in tokens]
    for uid, (system, value) in zip(uids, tokens, strict=True):
        if not valid_uid(uid) or system not in {None, "", DICOM_UID}:
            raise InvalidParameter(name, value, "is not the UID of a study")
    return OneOf("study_instance_uid", uids)


def _actions(name: str, tokens: Sequence[_Token]) -> Condition:
    return OneOf("action", [_known(name, token, list(Action)) for token in tokens])


def _outcomes(name: str, tokens: Sequence[_Token]) -> Condition:
    known = [str(int(outcome)) for outcome in Outcome] + ["12"]
    return OneOf("outcome", [int(_known(name, token, known)) for token in tokens])


def _known(name: str, token: _Token, values: Sequence[str]) -> str:
    system, value = token
    if system and not system.endswith(f"/audit-event-{name}"):
        raise InvalidParameter(name, f"{system}|{value}", "is of another system")
    if value not in values:
        raise InvalidParameter(name, value, f"is none of {', '.join(values)}")
    return str(value)


def _types(_: str, tokens: Sequence[_Token]) -> Condition:
    return OfKind([pair for token in tokens for pair in codes.meant_by_type(*_code(token))])


def _subtypes(_: str, tokens: Sequence[_Token]) -> Condition:
    found = [_code(token) for token in tokens]
    pairs = [pair for token in found for pair in codes.meant_by_subtype(*token)]
    own = [code for system, code in found if system in {None, codes.DCM}]
    return OfKind(pairs, own)


def _code(token: _Token) -> _Token:
    return token[0] or None, token[1]


_MAKERS: dict[str, Callable[[str, Sequence[_Token]], Condition]] = {
    "agent": _agents,
    "address": _addresses,
    "address:exact": _addresses,
    "patient": _patients,
    "entity": _studies,
    "action": _actions,
    "outcome": _outcomes,
    "type": _types,
    "subtype": _subtypes,
}
_SPELLINGS = dict.fromkeys(("agent", "patient", "entity"), ("identifier",))
"""What may come behind the names of parameters."""


def _ids(value: str, partition_id: int) -> Condition:
    found = [sequence_in(one, partition_id) for one in _alternatives("_id", value)]
    return OneOf("sequence", [sequence for sequence in found if sequence is not None])


def _count(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value, re.ASCII):
        raise InvalidParameter("_count", value, "is no number")
    return min(int(value), MOST)


def _place(value: str) -> Place:
    match = re.fullmatch(r"([0-9]{1,17})-([0-9]{1,18})", value, re.ASCII)
    if match is None or int(match[1]) > _LATEST:
        raise InvalidParameter(AFTER, value, "is none that this archive gave")
    return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])
