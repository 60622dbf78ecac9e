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

"""What a server's owner calls its devices, for the metadata that the server reads.

Tags are given to ports (and volumes) in the request; Nova's metadata lists
the devices that have one, from ``instance.device_metadata``.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from nova import exception
from nova import objects
import oslo_messaging


def record(context: Any, instance: Any, network_info: Sequence[Mapping[str, Any]]) -> None:
    """Have these ports, as far as they are tagged, in the server's metadata; may be repeated.

    :raises nova.exception.NovaException: Nova's conductor did not do its part.
    """
    try:
        known = objects.VirtualInterfaceList.get_by_instance_uuid(context, instance.uuid)
        tags = {vif.uuid: vif.tag for vif in known if vif.tag}
        # Those of ports that leave are known until they have left.
        if tags:
            nics = [
                objects.NetworkInterfaceMetadata(mac=vif['address'], tags=[tags[vif['id']]])
                for vif in network_info if vif['id'] in tags]
            instance.device_metadata = objects.InstanceDeviceMetadata(devices=nics)
            instance.save()
    except oslo_messaging.MessagingException as ex:
        raise exception.NovaException(f'Cannot record the tags of devices: {ex}') from ex
