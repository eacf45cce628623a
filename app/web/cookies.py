"""Cookies: how one is set, read and taken back, and from which pages its requests are believed.

A browser adds a cookie to whatever any page makes it ask for. So

- it can be read by no script (HttpOnly), goes to nothing but this archive's DICOMweb path, over TLS
  only where the archive is reached so (Secure, and a name with `__Secure-`), and is not sent for
  pages of other sites (SameSite=Strict);
- and as not every browser keeps the last, a request that says that it is made for another site is
  refused (`is_of_our_site`): by Sec-Fetch-Site, else by Origin;
- whoever takes a cookie for proof takes it for GET and HEAD alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import Response

Headers = Iterable[tuple[bytes, bytes]]

_VALUE = re.compile(r"[\w-]{1,128}", re.ASCII)
_OUR_SITE = frozenset({b"same-origin", b"same-site", b"none"})
"""`none` is what somebody has typed, or opened from a bookmark."""


SHARE_COOKIE = "hilum_share"
"""The name of the cookie of who has opened a link (see `app.shares.opening`)."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of one kind, as the archive uses it under one address."""

    name: str
    path: str
    secure: bool

    @classmethod
    def of(cls, base: str, name: str = "hilum") -> "Cookie":
        """The cookie of this name for an archive with this DICOMweb base URL."""
        parts = urlsplit(base)
        secure = parts.scheme == "https"
        return cls(f"__Secure-{name}" if secure else name, parts.path, secure)

    def give(self, response: Response, value: str, seconds: int) -> None:
        """Let the browser keep the value for so long."""
        self._set(response, value, seconds)

    def take_back(self, response: Response) -> None:
        """Let the browser forget it."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            self.name,
            value,
            max_age=seconds,
            path=self.path,
            secure=self.secure,
            httponly=True,
            samesite="strict",
        )

    def values_in(self, headers: Headers) -> list[str]:
        """Each value that a request has of it; more than one is a sign of foul play."""
        pairs = [
            pair.partition("=")
            for name, value in headers
            if name == b"cookie"
            for pair in value.decode("latin-1").split(";")
        ]
        values = [value.strip() for name, _, value in pairs if name.strip() == self.name]
        return [value if _VALUE.fullmatch(value) else "" for value in values]


def is_of_our_site(headers: Headers, base: str) -> bool:
    """Whether a request is made for a page of ours, by what its browser says.

    A client that is no browser says nothing, and is believed.
    """
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    if sites:
        return all(site in _OUR_SITE for site in sites)
    parts = urlsplit(base)
    ours = f"{parts.scheme}://{parts.netloc}".encode()
    return all(value == ours for name, value in headers if name == b"origin")


def is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that a request is made for a page of another site.

    By Sec-Fetch-Site alone: of a page that tells nobody its address, Origin says `null`.
    """
    return any(name == b"sec-fetch-site" and value == b"cross-site" for name, value in headers)
