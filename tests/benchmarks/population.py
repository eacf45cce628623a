"""A population of invented studies, put into the index by COPY: for measuring at a hospital's size.

Names, dates and modalities are as skewed as in life: some names are common and most are not, and
most studies are X-rays or CT. The same size gives the same population.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import asyncpg
import orjson

from app.dicom import jsonmodel, normal
from app.dicom.attributes import Level
from app.dicom.matched import level_columns
from app.dicom.terms import terms
from app.index.database import Connection, asyncpg_url


def _words(text: str) -> list[str]:
    return text.split()


_FAMILY = _words(
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Müller Schmidt "
    "Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Dubois Durand Lefebvre Moreau "
    "Rossi Russo Ferrari Esposito Nguyen Tran Kim Lee Park Wang Li Zhang Liu Chen Yang Silva "
    "Santos Oliveira Souza Kowalski Nowak Wójcik Ivanov Smirnov Kuznetsov Popov Yamada Suzuki "
    "Tanaka Watanabe Singh Kumar Sharma Patel Khan Ali Hansen Johansen Olsen Larsen Andersson "
    "Johansson Karlsson Nilsson Virtanen Korhonen Jansen Vries Bakker Visser O'Brien Murphy"
)
_GIVEN = _words(
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara "
    "Anna Maria Jan Peter Hans Ursula Jean Claire Luca Giulia Ana José Björn Søren Łukasz Zoë "
    "Hanako Taro Wei Min Priya Arjun Fatima Omar Olga Dmitri Noah Emma Liam Olivia"
)
_SYLLABLES = _words("ba de fi ko la me ni or pa ru sa ti ul va we xa yo zi bro ster hof mann sen")
_MODALITIES = {"CR": 22, "DX": 20, "CT": 18, "MR": 12, "US": 14, "MG": 5, "XA": 3, "PT": 2, "SM": 1}
_PARTS = {"CHEST": 30, "ABDOMEN": 15, "HEAD": 15, "KNEE": 10, "SPINE": 10, "HIP": 8, "BREAST": 5}
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_TODAY = date(2026, 6, 30)
_DAYS = 3652
_STUDIES_PER_PATIENT = 3
_BATCH = 5000
_TABLES = ("study", "series", "instance")
_TERMS = ("study_terms", "series_terms", "instance_terms")
STATIONS = 300


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to be. A second series follows the first in every other study."""

    studies: int
    instances_per_series: int = 2


_Rows = dict[str, list[dict[str, Any]]]
"""Rows on their way, by table."""


async def populate(url: str, size: Size, *, partition_id: int = 1) -> None:
    """Fill the empty index of a database; its statistics are up to date when this returns."""
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await _fill(connection, size, partition_id)
    finally:
        await connection.close()


async def _fill(connection: Connection, size: Size, partition_id: int) -> None:
    for rows in _batches(size, partition_id):
        for table, batch in rows.items():
            records = [tuple(row.values()) for row in batch]
            await connection.copy_records_to_table(table, records=records, columns=list(batch[0]))
    for table in _TABLES:
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
        )
    for table in _TABLES + _TERMS:
        await connection.execute(f"VACUUM (ANALYZE) {table}")


def patient(number: int) -> dict[str, Any]:
    """The patient of this number, as attributes of the DICOM JSON model."""
    dice = random.Random(number)
    family = _family(dice)
    given = f"{_skewed(dice, _GIVEN)}{'^' + _skewed(dice, _GIVEN) if number % 4 == 0 else ''}"
    born = _TODAY - timedelta(days=dice.randrange(100 * 365))
    return {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": f"{family}^{given}"}]},
        "00100020": {"vr": "LO", "Value": [f"PID{number:07d}"]},
        "00100030": {"vr": "DA", "Value": [f"{born:%Y%m%d}"]},
        "00100040": {"vr": "CS", "Value": [dice.choice("FMO")]},
    }


def _family(dice: random.Random) -> str:
    if dice.random() < 0.5:
        return _skewed(dice, _FAMILY)
    return "".join(dice.choices(_SYLLABLES, k=dice.randrange(2, 5))).capitalize()


def _skewed(dice: random.Random, values: Sequence[str]) -> str:
    """The first values are the commonest."""
    return values[int(len(values) * dice.random() ** 2)]


def _weighted(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


def _uid(*parts: int) -> str:
    return "2.25." + str(int(hashlib.md5(repr(parts).encode()).hexdigest(), 16))


def _batches(size: Size, partition_id: int) -> Iterator[_Rows]:
    for first in range(1, size.studies + 1, _BATCH):
        rows: _Rows = {table: [] for table in _TABLES + _TERMS}
        for number in range(first, min(first + _BATCH, size.studies + 1)):
            _add_study(rows, number, size, partition_id)
        yield rows


def _add_study(rows: _Rows, number: int, size: Size, partition_id: int) -> None:
    dice = random.Random(f"study {number}")
    attributes = patient(dice.randrange(max(1, size.studies // _STUDIES_PER_PATIENT)))
    day = _TODAY - timedelta(days=dice.randrange(_DAYS))
    time = f"{dice.randrange(6, 22):02d}{dice.randrange(60):02d}{dice.randrange(60):02d}"
    modality, part = _weighted(dice, _MODALITIES), _weighted(dice, _PARTS)
    modalities = [modality, "SR"] if number % 2 == 0 else [modality]
    uid = _uid(number)
    attributes |= {
        "00080020": {"vr": "DA", "Value": [f"{day:%Y%m%d}"]},
        "00080030": {"vr": "TM", "Value": [time]},
        "00080050": {"vr": "SH", "Value": [f"A{number:08d}"]},
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": f"{_family(dice)}^Dr"}]},
        "00081030": {"vr": "LO", "Value": [f"{modality} {part.capitalize()}"]},
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00200010": {"vr": "SH", "Value": [str(number)]},
        "00380010": {"vr": "LO", "Value": [f"ADM{number // 3:07d}"]},
    }
    _add_terms(rows, "study_terms", number, partition_id, attributes)
    values = {tag: element["Value"][0] for tag, element in attributes.items()}
    rows["study"].append(
        {
            "id": number,
            "partition_id": partition_id,
            "study_instance_uid": uid,
            "patient_id": values["00100020"],
            "patient_name": normal.person_name(values["00100010"]),
            "patient_birth_date": values["00100030"],
            "patient_sex": values["00100040"],
            "study_date": values["00080020"],
            "study_time": normal.time(time),
            "accession_number": values["00080050"],
            "study_id": values["00200010"],
            "study_description": values["00081030"],
            "referring_physician_name": normal.person_name(values["00080090"]),
            "sounds": level_columns(attributes, Level.STUDY)[0]["sounds"],
            "modalities": sorted(modalities),
            "sop_classes": [_SOP_CLASS],
            "number_of_series": len(modalities),
            "number_of_instances": len(modalities) * size.instances_per_series,
            "attributes": jsonmodel.dumps(attributes),
        }
    )
    for index, kind in enumerate(modalities):
        _add_series(rows, (partition_id, number, index), kind, part, size)


def station(study: int) -> str:
    """The name of the station that made a study."""
    return f"ST{study % STATIONS:03d}"


def _add_terms(
    rows: _Rows, table: str, id_: int, partition_id: int, attributes: dict[str, Any]
) -> None:
    found = sorted(terms([attributes]))
    rows[table].append({"id": id_, "partition_id": partition_id, "terms": found})


def _add_series(
    rows: _Rows, place: tuple[int, int, int], modality: str, part: str, size: Size
) -> None:
    partition_id, study, index = place
    identity = study * 2 + index
    uid = _uid(study, index)
    description = f"{modality} {index + 1}"
    requests = [{"00400009": f"SPS{study}", "00401001": f"RP{study}"}] if index == 0 else []
    attributes = {
        "00080060": {"vr": "CS", "Value": [modality]},
        "0008103E": {"vr": "LO", "Value": [description]},
        "0020000E": {"vr": "UI", "Value": [uid]},
        "00200011": {"vr": "IS", "Value": [index + 1]},
        "00081010": {"vr": "SH", "Value": [station(study)]},
        "00180015": {"vr": "CS", "Value": [part]},
    }
    _add_terms(rows, "series_terms", identity, partition_id, attributes)
    rows["series"].append(
        {
            "id": identity,
            "partition_id": partition_id,
            "study_id": study,
            "series_instance_uid": uid,
            "modality": modality,
            "series_number": index + 1,
            "series_description": description,
            "body_part_examined": part,
            "request_attributes": orjson.dumps(requests).decode(),
            "number_of_instances": size.instances_per_series,
            "attributes": jsonmodel.dumps(attributes),
        }
    )
    own = {
        "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
        "00180060": {"vr": "DS", "Value": [120]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00181160": {"vr": "SH", "Value": [f"FILTER{study % 50}"]},
    }
    _add_terms(rows, "instance_terms", identity, partition_id, own)
    metadata = jsonmodel.pack(attributes | own)
    for number in range(1, size.instances_per_series + 1):
        rows["instance"].append(
            {
                "id": identity * size.instances_per_series + number,
                "partition_id": partition_id,
                "study_id": study,
                "series_id": identity,
                "sop_instance_uid": _uid(study, index, number),
                "sop_class_uid": _SOP_CLASS,
                "instance_number": number,
                "rows": 512,
                "columns": 512,
                "bits_allocated": 16,
                "number_of_frames": 1,
                "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                "blob_key": f"p{partition_id}/{identity}/{number}",
                "length": 525_312,
                "sha256": b"",
                "metadata_json": metadata,
            }
        )
