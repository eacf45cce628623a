"""Passwords, kept as what scrypt (RFC 7914) derives from them: 16 bytes of salt, then 32 of key.

Both functions take a tenth of a second or more: call them in a thread.
"""

import hashlib
import secrets

SALT_BYTES = 16
SHORTEST, LONGEST = 8, 256
"""Characters."""


def derived(password: str, salt: bytes | None = None) -> bytes:
    """What is kept of a password."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    # 16 MiB of memory, five times over.
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=5, dklen=32)


def fits(password: str, kept: bytes) -> bool:
    """Whether it is the password of which this is kept."""
    if len(password) > LONGEST:
        return False
    return secrets.compare_digest(derived(password, kept[:SALT_BYTES]), kept)
