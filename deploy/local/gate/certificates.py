"""The stack's own certificate authority and the broker's certificate."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LASTS = timedelta(days=3653)
"""Ten years: each gateway holds a copy of this certificate, and a new one means a visit to each."""
SERVER_LASTS = timedelta(days=825)
"""The longest that all common TLS clients take."""
RENEWED_BEFORE = timedelta(days=60)
"""A certificate with less left is made anew at the next start."""
CLOCKS_DIFFER = timedelta(days=1)
"""Certificates hold from this long before they were made: a gateway's clock may be behind."""


class Unusable(ValueError):
    """A file that holds no certificate and key that belong together; the message says why."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> str:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self) -> str:
        """Return the key as PEM, in plain text: for files that their owner alone may read."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def read_identity(certificate: bytes, key: bytes) -> Identity:
    """Read PEM texts.

    Raises
    ------
    Unusable
        If either can't be read, or they don't belong together.
    """
    try:
        cert = x509.load_pem_x509_certificate(certificate)
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise Unusable(f"can't be read ({error})") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or cert.public_key() != private.public_key():
        raise Unusable("certificate and key don't belong together")
    return Identity(cert, private)


def make_authority(name: str, now: datetime) -> Identity:
    """Make a CA of that name. `now` is aware."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    usage = _usage(signs_certificates=True)
    built = (
        _begun(subject, subject, key, now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Identity(built.sign(key, hashes.SHA256()), key)


def issue_server(authority: Identity, names: Sequence[str], now: datetime) -> Identity:
    """Make a key and a certificate for a server of these DNS names and addresses; it ends no later than the CA's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tidemark broker")])
    lasts = min(SERVER_LASTS, authority.certificate.not_valid_after_utc - now)
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    built = (
        _begun(subject, authority.certificate.subject, key, now, lasts)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
    )
    return Identity(built.sign(authority.key, hashes.SHA256()), key)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses that a certificate is for, sorted."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return tuple(sorted({*found.get_values_for_type(x509.DNSName), *addresses}))


def why_reissue(server: x509.Certificate, authority: x509.Certificate, names: Sequence[str], now: datetime) -> str:
    """Return why a server's certificate has to be made anew; empty if it hasn't."""
    try:
        server.verify_directly_issued_by(authority)
    except Exception:  # it raises one kind for each way in which a signature can be wrong
        return "the CA is another one"
    # A CA near its own end can't give more; then a new certificate at each start would help nobody.
    ends_with_authority = server.not_valid_after_utc >= authority.not_valid_after_utc - timedelta(days=1)
    if server.not_valid_after_utc - now < RENEWED_BEFORE and not ends_with_authority:
        return f"it ends on {server.not_valid_after_utc:%Y-%m-%d}"
    if names_of(server) != tuple(sorted(set(names))):
        return "the names changed"
    return ""


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
