"""The page of a link, as HTML: closed, open, or nowhere. No script, nothing from elsewhere."""

import base64
import hashlib
from html import escape

from app.shares.contents import Contents, Group, Tile

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:1rem;"
    "background:#111;color:#eee}"
    "a{color:#9cf}h1{font-size:1.3rem}h2{font-size:1rem;white-space:pre-wrap}"
    "ul{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;padding:0}"
    "li{width:200px;overflow-wrap:anywhere;white-space:pre-wrap}"
    "img{display:block;width:200px;height:200px;object-fit:contain;background:#000}"
    "input,button{font:inherit;padding:.4rem .8rem}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_NO_ICON = "data:,"
"""Without it a browser asks for /favicon.ico, and is refused: the audit would tell of that, too."""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self' data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'self'"
)
"""The Content-Security-Policy of every page."""


def closed(*, asks_password: bool, was_wrong: bool = False) -> str:
    """What somebody sees who comes by the link: a button, and a field if there is a password."""
    field = ""
    if asks_password:
        field = (
            '<p><label>Password <input type="password" name="password" required autofocus'
            ' autocomplete="off"></label></p>'
        )
    wrong = '<p role="alert">That is not the password.</p>' if was_wrong else ""
    return _document(
        "<h1>Images have been shared with you</h1>"
        f'{wrong}<form method="post">{field}<button>Open</button></form>'
        # What comes from another site, as a mail, comes without the cookie; this does not.
        '<p><a href="?">I have opened it in this browser</a></p>'
    )


def nowhere() -> str:
    """What somebody sees whose link leads nowhere."""
    return _document("<h1>This link leads nowhere, or no longer</h1>")


def gallery(contents: Contents, dicomweb: str) -> str:
    """The images. `dicomweb`: path of the DICOMweb base."""
    back = "" if contents.is_top else '<p><a href="?">All series</a></p>'
    groups = "".join(_group(group, dicomweb) for group in contents.groups)
    further = ""
    if contents.further is not None:
        further = f'<p><a href="{escape(contents.further)}">Further ones</a></p>'
    return _document(f"<h1>Images shared with you</h1>{back}{groups}{further}")


def _group(group: Group, dicomweb: str) -> str:
    heading = f"<h2>{escape(group.heading)}</h2>" if group.heading else ""
    return f"{heading}<ul>{''.join(_tile(tile, dicomweb) for tile in group.tiles)}</ul>"


def _tile(tile: Tile, dicomweb: str) -> str:
    leads_to = tile.leads_to if tile.leads_to.startswith("?") else dicomweb + tile.leads_to
    image = escape(dicomweb + tile.image)
    caption = escape(tile.caption)
    return (
        f'<li><a href="{escape(leads_to)}"><img loading="lazy" alt="" src="{image}">'
        f"{caption or 'image'}</a></li>"
    )


def _document(body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Shared images</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f'<link rel="icon" href="{_NO_ICON}">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
