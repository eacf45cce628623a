"""Studies that differ in everything that a grant can name, and who sees what of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from app.access.grants import create_grant, label_study, scope_of, subject_of_token
from app.access.principal import Scope
from app.access.tokens import issue_token
from app.index.database import Database
from app.index.grants import NewGrant
from tests import factories
from tests.fixtures.server import Server

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class Thing:
    """A stored instance, by what grants can name of it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str | None
    date: str
    label: str
    modality: str
    institution: str
    sop_class_uid: str

    @property
    def path(self) -> str:
        return (
            f"/studies/{self.study_instance_uid}/series/{self.series_instance_uid}"
            f"/instances/{self.sop_instance_uid}"
        )


def things() -> Iterator[Thing]:
    """Six studies of two series of two instances, two of each kind in different combinations."""
    numbers = count(1)
    for study in range(6):
        uid = f"1.2.3.{study + 1}"
        for series in range(2):
            modality = ("CT", "MR")[(study + series) % 2]
            for instance in range(2):
                yield Thing(
                    uid,
                    f"{uid}.{series + 1}",
                    f"1.2.3.900.{next(numbers)}",
                    f"P{study % 3}",
                    (None, "A", "B")[study // 2],
                    f"202{study}0101",
                    ("teaching", "vip")[study % 2],
                    modality,
                    ("North", "South")[series],
                    SECONDARY_CAPTURE if instance else (CT if modality == "CT" else MR),
                )


THINGS = tuple(things())


def file_of(thing: Thing, **others: str) -> bytes:
    """The Part 10 file of a thing."""
    return factories.part10(
        factories.ct_dataset(
            StudyInstanceUID=thing.study_instance_uid,
            SeriesInstanceUID=thing.series_instance_uid,
            SOPInstanceUID=thing.sop_instance_uid,
            SOPClassUID=thing.sop_class_uid,
            PatientID=thing.patient_id,
            IssuerOfPatientID=thing.issuer_of_patient_id or "",
            StudyDate=thing.date,
            Modality=thing.modality,
            InstitutionName=thing.institution,
            **others,
        )
    )


async def store(
    http: httpx.AsyncClient, files: Iterable[bytes], path: str = "/studies"
) -> httpx.Response:
    """Store the files in one request."""
    body, content_type = factories.multipart(files)
    return await http.post(path, content=body, headers={"Content-Type": content_type})


async def populate(server: Server) -> None:
    """Store all things, and label their studies."""
    async with server.client("admin") as http:
        assert (await store(http, map(file_of, THINGS))).status_code == 200
        for study in {thing.study_instance_uid for thing in THINGS}:
            # The metadata of every series is kept from now on, whole.
            assert (await http.get(f"/studies/{study}/metadata")).status_code == 200
    async with index_of(server) as index:
        for one in {thing.study_instance_uid: thing for thing in THINGS}.values():
            await label_study(index, 1, one.study_instance_uid, [one.label])


def index_of(server: Server) -> "_Index":
    """The server's index, open as long as the context lasts."""
    return _Index(server.database_url)


class _Index:
    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Database:
        self._index = await Database.open(self._url, connections=1, statement_seconds=30)
        return self._index

    async def __aexit__(self, *_: object) -> None:
        await self._index.close()


@dataclass(frozen=True)
class Given:
    """A grant as a test gives it."""

    actions: tuple[str, ...]
    scope: tuple[tuple[str, str], ...] = ()
    denies: bool = False

    def covers(self, thing: Thing) -> bool:
        """Whether all that it names is so."""
        for name, value in self.scope:
            match name:
                case "first_date":
                    fits = thing.date >= value
                case "last_date":
                    fits = thing.date <= value
                case _:
                    fits = getattr(thing, name) == value
            if not fits:
                return False
        return True


def visible(grants: Sequence[Given], action: str, opened: Sequence[Given] = ()) -> list[Thing]:
    """What somebody with the grants, and with these overrides open, may do that to."""

    def granted(thing: Thing, action: str) -> bool:
        applied = [grant for grant in grants if action in grant.actions and grant.covers(thing)]
        return bool(applied) and not any(grant.denies for grant in applied)

    def is_open(thing: Thing) -> bool:
        return any(one.covers(thing) for one in opened) and granted(thing, "break-glass")

    return [thing for thing in THINGS if granted(thing, action) or is_open(thing)]


async def token_with(
    server: Server,
    grants: Iterable[Given],
    scopes: Sequence[str] = ("read", "store"),
    **more: Any,
) -> str:
    """A token that is restricted to what the grants allow."""
    async with index_of(server) as index:
        wanted = [Scope(scope) for scope in scopes]
        issued = await issue_token(index, "restricted", wanted, restricted=True, **more)
        await give(index, subject_of_token(issued.id), grants)
    return issued.token


async def give(index: Database, subject: str, grants: Iterable[Given]) -> None:
    """Make the grants, for this subject."""
    for grant in grants:
        new = NewGrant(
            subject=subject,
            actions=grant.actions,
            denies=grant.denies,
            scope=scope_of(dict(grant.scope)),
        )
        await create_grant(index, 1, new)


def client_of(server: Server, token: str) -> httpx.AsyncClient:
    """A client that sends the token."""
    return httpx.AsyncClient(
        base_url=server.dicomweb,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    )


async def open_override(server: Server, token: str, **asked: Any) -> int:
    """The status with which an emergency override is opened, or not."""
    async with client_of(server, token) as http:
        answer = await http.post(f"{server.url}/overrides", json={"reason": "emergency"} | asked)
    return answer.status_code
