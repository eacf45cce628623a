"""What the audit says of a change to who may do what: which it was, and what is granted by it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from app.audit.queries import QUERY_CHARACTERS
from app.index.grants import SCOPE, NewGrant


def described(**values: Any) -> str:
    """What has a value, as a query says such things; no more than a record keeps."""
    told = {name: _text(value) for name, value in values.items() if value not in _NOTHING}
    return urlencode(told, safe=":,")[:QUERY_CHARACTERS]


def grant_described(number: int, grant: NewGrant) -> str:
    """The same of a grant."""
    scope = {name: getattr(grant.scope, name) for name in SCOPE}
    more = {name: getattr(grant, name) for name in ("denies", "purpose", "expires_at")}
    return described(grant=number, subject=grant.subject, actions=grant.actions, **scope, **more)


_NOTHING: tuple[Any, ...] = (None, False, "", (), [], {}, frozenset(), set())


def _text(value: Any) -> str:
    match value:
        case True:
            return "true"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        case str() | int():
            return str(value)
        case Iterable():
            return ",".join(map(str, value))
        case _:
            return str(value)
