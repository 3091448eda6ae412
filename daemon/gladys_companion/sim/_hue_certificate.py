"""The certificate of a simulated Hue bridge, made by itself, as a real one's: its common name is the bridge's id."""

from __future__ import annotations

import datetime as dt
import os
import ssl

__all__ = ["certified"]


def certified(bridge_id: str) -> ssl.SSLContext:
    """Return what a server needs to speak TLS, with a new key; it is nowhere on disk. Blocks for a moment.

    Needs the package ``cryptography``.
    """
    from cryptography import x509  # noqa: PLC0415 - nothing else of the program needs it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "NL"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Philips Hue"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, bridge_id),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(bridge_id, 16))
        .not_valid_before(dt.datetime(2017, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2038, 1, 19, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    memory = os.memfd_create("bridge")  # the ssl module reads files only
    try:
        os.write(memory, pem)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context
