"""`asked`: what the provider says of a token (introspection, RFC 7662), if the settings allow it.

For tokens that say nothing by themselves. The provider is asked once for as long as a caller is
remembered.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from app.access.oidc.keys import FAILURES, ProviderUnavailable, json_of
from app.access.oidc.tokens import LONGEST, check_claims
from app.errors import Unauthenticated
from app.settings import Oidc

log = structlog.get_logger()


async def asked(token: str, http: httpx.AsyncClient, settings: Oidc) -> Mapping[str, Any]:
    """The claims. Raises `Unauthenticated` and `ProviderUnavailable`."""
    if settings.introspection_url is None or len(token) > LONGEST or not token.isascii():
        raise Unauthenticated
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    try:
        async with http.stream(
            "POST",
            settings.introspection_url,
            data={"token": token, "token_type_hint": "access_token"},
            auth=httpx.BasicAuth(settings.client_id or "", secret),
        ) as answer:
            claims = await json_of(answer)
    except FAILURES as error:
        log.warning("identity_provider_fails", error=repr(error))
        raise ProviderUnavailable from error
    if claims.get("active") is not True:
        raise Unauthenticated
    # Whoever answers there is the issuer, unless it says that somebody else is.
    claims = {"iss": settings.issuer, **claims}
    check_claims(claims, settings)
    return claims
