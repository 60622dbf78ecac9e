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

"""Signatures of images: when one is asked for, and what it means that it is not right.

Nova's image client verifies the signature itself, while it downloads, when the
operator wants that of all images ([glance] in nova.conf) or the owner of a
server named the certificates to trust (trusted_image_certificates). What it
verified for such a server has a name of its own in the engine; see
:func:`zun_nova.virt.image_source.trusted`.
"""

from __future__ import annotations

from typing import Any

from castellan.common import exception as castellan_exception
import cryptography.exceptions
from cursive import certificate_utils
from cursive import exception as cursive_exception
from nova import conf
from nova import exception
from nova import objects

from zun_nova import errors
from zun_nova.virt import image_source

CONF = conf.CONF


def trusted_by(instance: Any) -> tuple[str, ...]:
    """The ids of the certificates that the server's owner trusts; none: whatever there is."""
    return tuple(instance.trusted_certs.ids) if instance.trusted_certs else ()


def demanded(source: image_source.Source) -> bool:
    """Whether Nova's image client has to verify the image, which it does in its own way."""
    return bool(source.trust or CONF.glance.verify_glance_signatures or (
        CONF.glance.enable_certificate_validation
        and CONF.glance.default_trusted_certificate_ids))


def certificates(source: image_source.Source) -> objects.TrustedCerts | None:
    """As Nova's image client takes them."""
    return objects.TrustedCerts(ids=list(source.trust.certificates)) if source.trust else None


def check_signer(context: Any, source: image_source.Source) -> None:
    """Make sure that who signed an image that was verified before is trusted now.

    :raises errors.ImageInvalid: nobody that is trusted.
    """
    if source.trust is None:
        return
    try:
        certificate_utils.verify_certificate(
            context=context, certificate_uuid=source.trust.signer,
            trusted_certificate_uuids=source.trust.certificates)
    except (cursive_exception.SignatureVerificationError,
            castellan_exception.CastellanException) as ex:
        raise errors.ImageInvalid(source.image_id, _reason(ex)) from ex


def refusal(ex: BaseException, image_id: str) -> errors.ImageInvalid | None:
    """Our kind of error for what verifying raised; None when it is no matter of signatures."""
    reason = _reason(ex)
    return errors.ImageInvalid(image_id, reason) if reason else None


def _reason(ex: BaseException) -> str:
    """In few words: Nova cuts the message of a fault after 255 bytes."""
    if isinstance(ex, cryptography.exceptions.InvalidSignature):
        return 'its data does not match its signature'
    if isinstance(ex, cursive_exception.SignatureVerificationError):
        return f'only signed images are wanted, and its signature cannot be verified ({ex})'
    if isinstance(ex, exception.CertificateValidationFailed):
        return str(ex)
    if isinstance(ex, castellan_exception.CastellanException):
        return f'a certificate for its signature cannot be had ({ex})'
    return ''
