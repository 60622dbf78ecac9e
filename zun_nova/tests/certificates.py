# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Signed images: a certificate authority, a certificate of it, and what it signs."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
from typing import Any
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from zun_nova.tests import key_manager

_USAGES = ('digital_signature', 'content_commitment', 'key_encipherment', 'data_encipherment',
           'key_agreement', 'key_cert_sign', 'crl_sign', 'encipher_only', 'decipher_only')


class Signer:
    """Who signs images, with a certificate of an authority of their own.

    :ivar authority: the id of the authority's certificate in the key manager.
    :ivar certificate: the id of the signer's.
    """

    def __init__(self, name: str = 'publisher') -> None:
        self.authority, self.certificate = str(uuid.uuid4()), str(uuid.uuid4())
        root_key = ec.generate_private_key(ec.SECP384R1())
        self._key = ec.generate_private_key(ec.SECP384R1())
        root = _certificate(f'{name} root', root_key, f'{name} root', root_key, True)
        leaf = _certificate(name, self._key, f'{name} root', root_key, False)
        self._encoded = {self.authority: _encoded(root), self.certificate: _encoded(leaf)}

    def sign(self, data: bytes) -> dict[str, str]:
        """The properties of a Glance image with this data."""
        signature = self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        return {'img_signature': base64.b64encode(signature).decode(),
                'img_signature_hash_method': 'SHA-256',
                'img_signature_key_type': 'ECC_SECP384R1',
                'img_signature_certificate_uuid': self.certificate}

    def secrets(self, project_id: str) -> dict[str, dict[str, str]]:
        """What a FileKeyManager has to hold for this project."""
        return {key: {'project_id': project_id, 'certificate': certificate}
                for key, certificate in self._encoded.items()}


def store(directory: pathlib.Path, project_id: str, *signers: Signer) -> pathlib.Path:
    """Have the certificates in the key manager of tests; returns its file."""
    path = directory / key_manager.FILE
    path.write_text(json.dumps({
        key: secret for signer in signers for key, secret in signer.secrets(project_id).items()}))
    return path


def _certificate(name: str, key: Any, issuer: str, issuer_key: Any,
                 is_authority: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    used_for = 'key_cert_sign' if is_authority else 'digital_signature'
    usage = x509.KeyUsage(**{each: each == used_for for each in _USAGES})
    return (x509.CertificateBuilder()
            .subject_name(_named(name)).issuer_name(_named(issuer))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(issuer_key, hashes.SHA256()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


def _encoded(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
