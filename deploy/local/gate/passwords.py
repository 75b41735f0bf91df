"""Passwords that nobody has to invent, and how mosquitto stores them."""

import base64
import hashlib
import os
import secrets

ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without what looks alike (0 O, 1 l I, o): people type it where they can't see it."""
PASSWORD_LENGTH = 28
"""162 random bits: no dictionary and no number of attempts finds them."""
SALT_BYTES = 12
ROUNDS = 101
"""As mosquitto_passwd does. More would slow the broker, which hashes at each login, and protect nothing: slowness helps
passwords that can be guessed."""


def new_password() -> str:
    """Return a random password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return what mosquitto keeps of a password: PBKDF2 with SHA-512, in its `$7$` form.

    >>> hashed("secret", bytes(12))[:24]
    '$7$101$AAAAAAAAAAAAAAAA$'
    """
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
