"""Print docs/reference/settings.md, made from `Settings`; a test compares the two."""

import sys
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.settings import GIB, GROUPS, MIB, Settings

HEAD = """\
# Settings

Each is read from the environment or from a file `.env` in the folder where Hilum starts; the
environment wins. Every setting has a default with which one machine works. The variables of an
object store (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, …) may
stand in the same file.

| variable | default | meaning |
| --- | --- | --- |
"""

OIDC = """
## Identity provider

Access tokens of an OpenID Connect or OAuth 2.0 provider, besides the archive's own
([how](../how-to/sign-in-with-a-provider.md)).

| variable | default | meaning |
| --- | --- | --- |
"""

CLIENT_CERTIFICATES = """
## Client certificates

Certificates of callers, as the trusted proxies tell of them
([how](../how-to/let-machines-in-by-certificate.md)).

| variable | default | meaning |
| --- | --- | --- |
"""

AUDIT = """
## Feeds of the audit

Where its records are sent, besides being kept ([how](../how-to/send-the-audit.md)).

| variable | default | meaning |
| --- | --- | --- |
"""

SHARING = """
## Share links

[Links](../how-to/share.md) to studies for people who have no token.

| variable | default | meaning |
| --- | --- | --- |
"""

EMERGENCY = """
## Emergency overrides

[What may be opened](../how-to/break-the-glass.md) although it is closed to who asks.

| variable | default | meaning |
| --- | --- | --- |
"""

LIMITS = """
## Limits

What one request may cost at most. Sizes are in bytes, times in seconds. The
[conformance statement](../conformance-statement.md#limits) says how it is answered beyond a limit.

| variable | default | meaning |
| --- | --- | --- |
"""


HEADS = {
    "oidc": OIDC,
    "client_certificates": CLIENT_CERTIFICATES,
    "audit": AUDIT,
    "sharing": SHARING,
    "emergency": EMERGENCY,
    "limits": LIMITS,
}


def render() -> str:
    """The page as Markdown."""
    settings = HEAD + "".join(_rows("HILUM_", Settings))
    for group, head in HEADS.items():
        settings += head + "".join(_rows(f"HILUM_{group.upper()}__", GROUPS[group]))
    return settings


def _rows(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name not in GROUPS:
            default = _default(field)
            yield f"| `{prefix}{name.upper()}` | {default} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case None:
            return "none"
        case int(size) if size >= MIB and size % GIB == 0:
            return f"`{size}` ({size // GIB} GiB)"
        case int(size) if size >= MIB and size % MIB == 0:
            return f"`{size}` ({size // MIB} MiB)"
        case [*values]:
            return f"`{values}`".replace("'", '"')
        case value:
            return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(render())
