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

"""A key manager without a service: its secrets are in a file.

For tests only: whoever can read the file reads all secrets. Nova loads it with
``[key_manager] backend = zun_nova.tests.key_manager.FileKeyManager``.
"""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

from castellan.common import exception
from castellan.common.objects import passphrase
from castellan.common.objects import x_509
from castellan.key_manager import not_implemented_key_manager

FILE = 'test-secrets.json'


class FileKeyManager(
        not_implemented_key_manager.NotImplementedKeyManager):  # type: ignore[misc]  # no types
    """Gives each secret to the users of one project, as Barbican does.

    The file FILE below Nova's state_path holds {UUID: {"project_id": ..., "payload": ...}}, or
    for a certificate in the place of the payload "certificate", base64 of its DER.
    """

    def __init__(self, configuration: Any) -> None:
        super().__init__(configuration)
        self._file = pathlib.Path(configuration.state_path, FILE)

    def get(self, context: Any, managed_object_id: str, metadata_only: bool = False) -> Any:
        """The secret, if the context's project is its owner's."""
        if context is None:
            raise exception.Forbidden
        secrets = json.loads(self._file.read_text()) if self._file.exists() else {}
        found = secrets.get(managed_object_id)
        if found is None:
            raise exception.ManagedObjectNotFoundError(uuid=managed_object_id)
        if found['project_id'] != context.project_id:
            raise exception.Forbidden
        if 'certificate' in found:
            return x_509.X509(base64.b64decode(found['certificate']))
        return passphrase.Passphrase(found['payload'].encode())
