"""Random queries over random data sets find what a naive matcher finds, indexed or not."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import asyncpg
import httpx
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from app.index.database import Database
from app.index.terms import follow
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.naive import SOUNDS, Asked, Options, matches, words_of

STUDIES, SERIES, INSTANCES = 14, 2, 2
QUERIES = 50
TAGS = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}
KEYWORDS = {
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instances": "SOPInstanceUID",
}
DAYS = ["20231231", "20240101", "20240115", "20240229", "20250301"]
TIMES = ["08", "0930", "093015", "093015.5", "235959"]
NAMES = [
    "Doe^Jane",
    "DOE^JANE^Q",
    "Müller^Jörg",
    "Muller",
    "Mueller^Joanne",
    "Dowe^Jan",
    "Millar^Schmidt Smith",
    "O'Brien-Smith^Al",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
]
TEXTS = ["Head", "head", "Head 50%_off", "C*", "[x]", "Ünï", "a.b", "T1 (ax)"]
CODES = ["113691", "113692", "T-D1100"]
UIDS = ["1.2.3", "1.2.4", "1.2.30"]
MOMENTS = [
    "2024",
    "202401",
    "20240101",
    "20240101120000",
    "20240101233000-0500",
    "20240102013000.5+0200",
]
POOLS: dict[str, dict[str, Sequence[object]]] = {
    "studies": {
        "PatientName": NAMES,
        "PatientID": ["P1", "P2", "P12"],
        "StudyDate": DAYS,
        "StudyTime": TIMES,
        "StudyDescription": [*TEXTS, ["C*", "Head"]],
        "ReferringPhysicianName": ["Dowe^Jan", "Doe^Jane", ["Muller", "Doe^Jane"]],
        "OtherPatientIDs": [["X1", "X2"], "X1", "X3"],
        "PatientWeight": ["70", "70.0", "71.5"],
        "PatientComments": TEXTS,
        "PatientBirthTime": TIMES,
        "AdmissionID": ["A1", "A2"],
    },
    "series": {
        "Modality": ["CT", "MR", "SR"],
        "SeriesNumber": ["1", "02", "-3"],
        "SeriesDescription": TEXTS,
        "ProtocolName": TEXTS,
        "SeriesDate": DAYS,
        "SeriesTime": TIMES,
        "OperatorsName": NAMES,
        "FrameOfReferenceUID": UIDS,
        "BodyPartExamined": ["CHEST", "HEAD", ["HEAD", "CHEST"], ["", "HEAD"]],
    },
    "instances": {
        "InstanceNumber": ["1", "2", "10"],
        "ImageType": [["ORIGINAL", "PRIMARY"], ["DERIVED", "PRIMARY"], "OTHER"],
        "ContentDate": DAYS,
        "ContentTime": TIMES,
        "AcquisitionDateTime": MOMENTS,
        "KVP": ["120", "120.0", "80"],
        "ImageComments": TEXTS,
        "ContentCreatorName": NAMES,
        "00091001": TEXTS,
        "InstanceCreatorUID": UIDS,
    },
}
NESTED = {
    "studies": ["ProcedureCodeSequence"],
    "series": ["RequestAttributesSequence"],
    "instances": ["ConceptNameCodeSequence"],
}
IN_ITEM: dict[str, dict[str, Sequence[object]]] = {
    "ProcedureCodeSequence": {"CodeValue": CODES, "CodeMeaning": TEXTS},
    "RequestAttributesSequence": {
        "ScheduledProcedureStepID": ["S1", "S2"],
        "RequestedProcedureID": ["R1", "R2"],
        "RequestedProcedureDescription": TEXTS,
    },
    "ConceptNameCodeSequence": {"CodeValue": CODES, "CodeMeaning": TEXTS},
}
LEVELS = list(POOLS)


def filled(dice: random.Random, level: str) -> dict[str, object]:
    """Values for some of the attributes of a level."""
    values = {
        name: dice.choice([*pool, ""])
        for name, pool in POOLS[level].items()
        if not name.startswith("0") and dice.random() < 0.8
    }
    for name in NESTED[level]:
        items = []
        for _ in range(dice.randrange(3)):
            item = Dataset()
            for inner, pool in IN_ITEM[name].items():
                if dice.random() < 0.8:
                    setattr(item, inner, dice.choice(pool))
            items.append(item)
        values[name] = Items(items)
    return values


def data_sets(seed: int) -> Iterator[Dataset]:
    dice = random.Random(seed)
    for study in range(STUDIES):
        of_study = filled(dice, "studies")
        for series in range(SERIES):
            of_series = filled(dice, "series")
            for instance in range(INSTANCES):
                uid = f"1.2.{seed}.{study}"
                data_set = ct_dataset(
                    **of_study | of_series | filled(dice, "instances"),
                    SpecificCharacterSet="ISO_IR 192",
                    StudyInstanceUID=uid,
                    SeriesInstanceUID=f"{uid}.{series}",
                    SOPInstanceUID=f"{uid}.{series}.{instance}",
                    SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.2"),
                )
                if dice.random() < 0.8:
                    block = data_set.private_block(0x0009, "HILUM TEST", create=True)
                    block.add_new(0x01, "LO", dice.choice(TEXTS))
                yield data_set


@dataclass(frozen=True)
class Stored:
    """An archive and what is in it."""

    http: httpx.Client
    data_sets: list[Dataset]

    def found(self, level: str, query: str) -> set[str]:
        """The UIDs that a search finds."""
        answer = self.http.get(f"/{level}?{query}")
        assert answer.status_code == 200, (query, answer.text)
        return {result[TAGS[level]]["Value"][0] for result in answer.json()}


@pytest.fixture(scope="module", params=["unindexed", "indexed"])
async def stored(
    request: pytest.FixtureRequest, module_database_url: str, no_indexing: None, searched: Server
) -> AsyncIterator[Stored]:
    """An archive that does not index by itself, before and after it has been indexed."""
    sets = list(data_sets(7))
    body, content_type = multipart(part10(data_set) for data_set in sets)
    headers = {"Authorization": f"Bearer {await searched.token('store', 'read')}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=60) as http:
        answer = await http.post(
            f"{searched.dicomweb}/studies", content=body, headers={"Content-Type": content_type}
        )
        assert answer.status_code in (200, 202), answer.text
    if request.param == "indexed":
        database = await Database.open(module_database_url, connections=1, statement_seconds=30)
        async with database.transaction() as connection:
            assert await follow(connection, 1) >= len(sets)
        await database.close()
    connection = await asyncpg.connect(module_database_url)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS fuzzystrmatch")
    known = "SELECT word, daitch_mokotoff(word) FROM unnest($1::text[]) AS word"
    for word, codes in await connection.fetch(known, words_of(NAMES)):
        SOUNDS[word] = set(codes)
    await connection.close()
    with httpx.Client(
        base_url=searched.dicomweb, headers=headers, trust_env=False, timeout=60
    ) as reader:
        yield Stored(reader, sets)


def text(dice: random.Random, name: str, pool: Sequence[object]) -> str:
    """What an attribute may be asked to be: one of its values, or something made of them."""
    singles = [str(each[0] if isinstance(each, list) else each) for each in pool]
    one, other, cut = dice.choice(singles), dice.choice(singles), dice.randrange(7)
    options = [one, one, dice.choice(["*", ""])]
    if pool is DAYS:
        options += [f"{one}-{other}", f"{one}-", f"-{one}"]
    elif pool is TIMES:
        options += ["08-0930", "0930-", "-0930", "093015.6-235959", "00-23"]
    elif pool is MOMENTS:
        options += ["202301-202401", "20240101-20240102", "-20240101120000", "202402-"]
    elif pool is UIDS:
        options += [f"{one},{other}", f"{one}\\{other}"]
    elif not singles[0].lstrip("-").replace(".", "").isdigit() or name == "CodeValue":
        options += [f"{one[:cut]}*", f"*{one[cut:]}", f"*{one[1:-1]}*"]
        options += [f"{one[:1]}?{one[2:]}", one.upper()]
    if pool is NAMES:
        options += [one.partition("^")[0]] * 4
    return dice.choice(options)


def names(level: str) -> list[tuple[str, ...]]:
    """The paths of what can be asked of a level."""
    above = LEVELS[: LEVELS.index(level) + 1]
    plain: list[tuple[str, ...]] = [(name,) for each in above for name in POOLS[each]]
    nested: list[tuple[str, ...]] = [
        (sequence, name)
        for each in above
        for sequence in NESTED[each]
        for name in IN_ITEM[sequence]
    ]
    return plain + nested * 2 + [("PatientName",)] * 4


def pool_of(path: tuple[str, ...]) -> Sequence[object]:
    """The values that an attribute is given."""
    if len(path) == 2:
        return IN_ITEM[path[0]][path[1]]
    return next(pool[path[0]] for pool in POOLS.values() if path[0] in pool)


def query(dice: random.Random) -> tuple[str, list[Asked], Options]:
    """A level, keys of it and of the levels above, and what is asked for besides."""
    level = dice.choice(LEVELS)
    paths = dict.fromkeys(dice.choices(names(level), k=dice.choice([1, 1, 2, 3])))
    keys = [Asked(path, text(dice, path[-1], pool_of(path))) for path in paths]
    fuzzy, special = dice.random() < 0.5, dice.random()
    if special < 0.15:
        keys[0] = Asked(keys[0].path, '""')
        return level, keys, Options(fuzzy=fuzzy, empty=True)
    if special < 0.3:
        name, values = dice.choice(
            [("OtherPatientIDs", ["X1", "X2", "X3"])]
            + [("PatientName", ["Yamada^Tarou", "山田^太郎", "やまだ^たろう"])]
            + [("BodyPartExamined", ["CHEST", "HEAD", "NECK"])] * (level != "studies")
            + [("ImageType", ["ORIGINAL", "PRIMARY", "OTHER"])] * (level == "instances")
        )
        both = Asked((name,), "\\".join(dice.sample(values, 2)))
        keys = [both, *(each for each in keys if each.path != both.path)]
        return level, keys, Options(fuzzy=fuzzy, multiple=True)
    return level, keys, Options(fuzzy=fuzzy)


@pytest.mark.parametrize("seed", range(5))
def test_a_search_finds_what_a_naive_matcher_finds(stored: Stored, seed: int) -> None:
    dice = random.Random(seed)
    somewhere = 0
    for _ in range(QUERIES):
        level, keys, options = query(dice)
        expected = {
            str(getattr(data_set, KEYWORDS[level]))
            for data_set in stored.data_sets
            if matches(data_set, keys, options)
        }
        parameters = [(each.name, each.text) for each in keys]
        for name, on in (
            ("fuzzymatching", options.fuzzy),
            ("emptyvaluematching", options.empty),
            ("multiplevaluematching", options.multiple),
        ):
            parameters += [(name, "true")] if on else []
        assert stored.found(level, urlencode(parameters)) == expected, (level, parameters)
        somewhere += bool(expected)
    assert somewhere > QUERIES / 5
