"""Passwords that nobody has to invent, and how mosquitto stores them."""

import base64
import hashlib
import os
import secrets

import msgspec

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


class Hashed(msgspec.Struct, frozen=True):
    """What is kept of a password: PBKDF2 with SHA-512; hash and salt in Base64."""

    hash: str
    salt: str
    iterations: int


def hashed(password: str, salt: bytes | None = None) -> Hashed:
    """Return what mosquitto compares a password with.

    >>> hashed("secret", bytes(12)).salt
    'AAAAAAAAAAAAAAAA'
    """
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return Hashed(base64.b64encode(digest).decode(), base64.b64encode(salt).decode(), ROUNDS)
