"""`hilum grant`: what restricted tokens may see and do."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from app.access import grants
from app.access.certificates import certificate_of
from app.audit.changes import grant_described
from app.audit.event import Action as AuditAction
from app.cli.arguments import LARGEST_ID, MOST_DAYS, Partition
from app.cli.environment import database, read_settings
from app.cli.listing import print_all
from app.cli.recorded import recorded
from app.cli.tokens import partition_named, with_index
from app.errors import InvalidParameter
from app.index.database import Database
from app.index.grants import SCOPE, NewGrant, StoredGrant
from app.index.partitions import DEFAULT
from app.index.restriction import Action

commands = typer.Typer(help="Make, show and end grants.", no_args_is_help=True)

_Text = Annotated[str | None, typer.Option()]


@commands.command("add")
def add(
    subject: Annotated[str, typer.Argument(help=f"{grants.SUBJECTS}.")],
    action: Annotated[
        list[Action] | None, typer.Option(help="Default search, read, render; repeatable.")
    ] = None,
    deny: Annotated[bool, typer.Option(help="Forbid, which always wins.")] = False,
    institution: _Text = None,
    patient_id: _Text = None,
    issuer_of_patient_id: _Text = None,
    study_instance_uid: _Text = None,
    series_instance_uid: _Text = None,
    modality: _Text = None,
    sop_class_uid: _Text = None,
    first_date: _Text = None,
    last_date: _Text = None,
    label: _Text = None,
    purpose: _Text = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="How long it holds.")
    ] = None,
    partition: Partition = DEFAULT,
) -> None:
    """Let a subject see what has all the given values; print the number of the grant."""
    scope = {
        "institution": institution,
        "patient_id": patient_id,
        "issuer_of_patient_id": issuer_of_patient_id,
        "study_instance_uid": study_instance_uid,
        "series_instance_uid": series_instance_uid,
        "modality": modality,
        "sop_class_uid": sop_class_uid,
        "first_date": first_date,
        "last_date": last_date,
        "label": label,
    }
    new = NewGrant(
        subject=subject,
        actions=action or grants.READING,
        denies=deny,
        scope=grants.scope_of(scope),
        purpose=purpose,
        expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        created_by="hilum grant",
    )

    async def make(index: Database) -> int:
        partition_id = await partition_named(index, partition)
        describe = partial(grant_described, grant=new)
        told = recorded("grant add", "/admin/grants", AuditAction.CREATE, describe)
        return await grants.create_grant(index, partition_id, new, told=told)

    with database(read_settings()) as url:
        print(with_index(url, make))


@commands.command("list")
def list_all(
    subject: Annotated[str | None, typer.Argument(help=f"{grants.SUBJECTS}.")] = None,
    partition: Partition = DEFAULT,
) -> None:
    """Show the grants of everybody, or of one subject."""
    print_all(
        partition,
        lambda index, of, after: grants.list_grants(index, of, subject, after=after),
        _line,
    )


@commands.command("end")
def end(
    number: Annotated[
        int, typer.Argument(min=1, max=LARGEST_ID, help="As `hilum grant list` shows it.")
    ],
    partition: Partition = DEFAULT,
) -> None:
    """End a grant, from the next request on."""

    async def do(index: Database) -> None:
        told = recorded("grant end", "/admin/grants", AuditAction.DELETE)
        await grants.end_grant(index, await partition_named(index, partition), number, told=told)

    with database(read_settings()) as url:
        with_index(url, do)


@commands.command("subjects")
def subjects(
    certificate: Annotated[Path, typer.Argument(help="A file with a certificate in PEM.")],
) -> None:
    """Show what grants call the holder of a certificate."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        print(*certificate_of(read.public_bytes(Encoding.DER)).subjects, sep="\n")
    except (OSError, ValueError) as error:
        raise InvalidParameter("certificate", str(certificate), "cannot be read") from error


def _line(grant: StoredGrant) -> str:
    covers = [
        f"{name}={value}" for name in SCOPE if (value := getattr(grant.scope, name)) is not None
    ]
    if grant.purpose is not None:
        covers.append(f"purpose={grant.purpose}")
    what = "may not" if grant.denies else "may"
    until = f"  until {grant.expires_at:%Y-%m-%d %H:%M}" if grant.expires_at else ""
    actions = ", ".join(grant.actions)
    return (
        f"{grant.id:>5}  {grant.subject:<20}  {what} {actions}  {' '.join(covers) or 'all'}{until}"
    )
