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

"""PCI functions of the host, and the device files by which a container uses them.

Nova decides which function a server gets: by the operator's ``[pci]
device_spec`` and ``alias``, and the flavor's ``pci_passthrough:alias``. A
virtual machine gets the function itself; a container gets what the driver on
the host makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
import pathlib
import re
from typing import Any

from nova.objects import fields

from zun_nova import errors

SYSFS = pathlib.Path('/sys')
DEV = pathlib.Path('/dev')
PROC = pathlib.Path('/proc')

_DEVICES = 'bus/pci/devices'
_ADDRESS = re.compile('[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}[.][0-7]')
#: Of the proprietary driver of NVIDIA, which shows nothing in sysfs.
_NVIDIA_COMMON = ('nvidiactl', 'nvidia-uvm', 'nvidia-uvm-tools', 'nvidia-modeset')
_NVIDIA_MINOR = re.compile(r'^Device Minor:\s*(\d+)$', re.MULTILINE)


def functions(sysfs: pathlib.Path = SYSFS) -> list[dict[str, Any]]:
    """Every PCI function, as ComputeDriver.get_available_resource() reports them.

    Nova keeps those that ``[pci] device_spec`` names. Functions that come or
    go meanwhile are left out.
    """
    found = []
    for folder in sorted((sysfs / _DEVICES).glob('*')):
        try:
            found.append(_function(folder))
        except (OSError, ValueError):
            continue
    return found


def _function(folder: pathlib.Path) -> dict[str, Any]:
    address = folder.name
    vendor, product = (
        (folder / name).read_text().strip().removeprefix('0x') for name in ('vendor', 'device'))
    node = int((folder / 'numa_node').read_text())
    return {
        'dev_id': 'pci_' + re.sub('[:.]', '_', address),
        'address': address,
        'vendor_id': vendor,
        'product_id': product,
        'label': f'label_{vendor}_{product}',
        'numa_node': node if node >= 0 else None,
        **_kind(folder),
    }


def _kind(folder: pathlib.Path) -> dict[str, str]:
    if (folder / 'physfn').exists():
        return {'dev_type': fields.PciDeviceType.SRIOV_VF,
                'parent_addr': (folder / 'physfn').resolve().name}
    if (folder / 'sriov_totalvfs').exists():
        return {'dev_type': fields.PciDeviceType.SRIOV_PF}
    return {'dev_type': fields.PciDeviceType.STANDARD}


def device_files(address: str, sysfs: pathlib.Path = SYSFS, dev: pathlib.Path = DEV,
                 proc: pathlib.Path = PROC) -> list[str]:
    """The paths of the device files that belong to a function: those that exist, in order.

    :param address: '0000:04:00.3'.
    :raises errors.InvalidSpec: there are none.
    """
    folder = (sysfs / _DEVICES / address).resolve()
    names = dict.fromkeys((
        *_in_sysfs(folder), *_of_vfio(folder), *_of_nvidia(address, proc)))
    found = [str(dev / name) for name in names if (dev / name).exists()]
    if not found:
        raise errors.InvalidSpec(
            'flavor extra spec pci_passthrough:alias',
            f'the PCI device {address} has no device files on the host; load the driver that '
            'makes them')
    return found


def _in_sysfs(folder: pathlib.Path) -> Iterator[str]:
    """Of what the kernel has below the function: drm, infiniband, nvme, block, accel..."""
    for path, children, files in os.walk(folder):
        # What is behind a bridge are functions of their own.
        children[:] = sorted(name for name in children if not _ADDRESS.fullmatch(name))
        if 'dev' in files and 'uevent' in files:
            yield from _named(pathlib.Path(path, 'uevent'))


def _named(uevent: pathlib.Path) -> Iterator[str]:
    for line in uevent.read_text().splitlines():
        key, _, value = line.partition('=')
        if key == 'DEVNAME':
            yield value


def _of_vfio(folder: pathlib.Path) -> Iterator[str]:
    """Of a function that the operator gave to user space drivers such as DPDK."""
    if (folder / 'driver').resolve().name == 'vfio-pci':
        yield f'vfio/{(folder / "iommu_group").resolve().name}'
        yield 'vfio/vfio'


def _of_nvidia(address: str, proc: pathlib.Path) -> Iterator[str]:
    information = proc / 'driver/nvidia/gpus' / address / 'information'
    if information.exists():
        minor = _NVIDIA_MINOR.search(information.read_text())
        if minor:
            yield f'nvidia{minor.group(1)}'
        yield from _NVIDIA_COMMON
