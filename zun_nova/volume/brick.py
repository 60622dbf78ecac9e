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

"""os-brick: how this host reaches volumes, whatever their backend."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import threading
from typing import Any

from nova import utils
from os_brick import exception as brick_exception
from os_brick.initiator import connector
from oslo_concurrency import processutils
from oslo_log import log as logging
from oslo_utils import strutils

from zun_nova import errors
from zun_nova.volume import model

LOG = logging.getLogger(__name__)


class Brick:
    """That of one compute service.

    :param conf: ConfigOpts.
    :param shares: directory in which shares with volumes are mounted.
    """

    def __init__(self, conf: Any, host: str, shares: str) -> None:
        self._conf = conf
        self._host = host
        self._shares = shares
        self._lock = threading.Lock()
        self._properties: Mapping[str, Any] | None = None

    def properties(self) -> dict[str, Any]:
        """What Cinder must know of this host to let it reach volumes.

        Looked for once: it takes long and changes with the host's hardware only.
        """
        with self._lock:
            if self._properties is None:
                self._properties = connector.get_connector_properties(
                    utils.get_root_helper(), self._conf.my_block_storage_ip,
                    multipath=False, enforce_multipath=True, host=self._host)
            return {**self._properties, 'ip': self._conf.my_block_storage_ip}

    def connect(self, connection: model.Connection) -> str:
        """Reach it; may be called again.

        :returns: path of a file or block device.
        :raises errors.VolumeError: it cannot be reached.
        """
        with _asking(connection):
            found = self._connector(connection).connect_volume(dict(connection.data))
        return str(found['path'])

    def disconnect(self, connection: model.Connection, path: str) -> None:
        """Undo connect(); may be called again."""
        with _asking(connection):
            self._connector(connection).disconnect_volume(
                dict(connection.data), {'path': path, 'type': 'block'})

    def extend(self, connection: model.Connection) -> None:
        """Have the device as large as the volume has become."""
        with _asking(connection):
            self._connector(connection).extend_volume(dict(connection.data))

    def share_of(self, path: str) -> str | None:
        """Where the share is mounted that the file is in; None for others."""
        parent = os.path.dirname(path)
        return parent if os.path.dirname(parent) == self._shares else None

    def _connector(self, connection: model.Connection) -> Any:
        return connector.InitiatorConnector.factory(
            connection.protocol, utils.get_root_helper(), conn=dict(connection.data),
            do_local_attach=True,
            **{f'{name}_mount_point_base': self._shares
               for name in ('nfs', 'glusterfs', 'quobyte', 'scality', 'vzstorage')})


@contextlib.contextmanager
def _asking(connection: model.Connection) -> Iterator[None]:
    """Around a call of os-brick. Its words, of hosts and paths, are for administrators."""
    try:
        yield
    except brick_exception.InvalidConnectorProtocol as ex:
        raise errors.VolumeError(
            connection.volume_id,
            f'this host cannot reach volumes of kind {connection.protocol!r}') from ex
    except (brick_exception.BrickException, processutils.ProcessExecutionError, OSError) as ex:
        LOG.warning('os-brick cannot reach volume %s: %s', connection.volume_id,
                    strutils.mask_password(str(ex)))
        raise errors.VolumeError(
            connection.volume_id, 'this host cannot reach it now; the log of its nova-compute '
            'says why') from ex
