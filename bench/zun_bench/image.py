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

"""How fast an image comes from Glance into the engine, against ``docker load`` of a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import pathlib
import random
import subprocess
import tempfile
import time
from typing import Any

from nova.image import glance
from zun_cloud import image as cloud_image

from zun_bench import cloud as bench_cloud
from zun_bench import compute
from zun_bench import figures
from zun_nova.virt import driver

_MIB = 1024 * 1024
_FILES = 16
#: What the archive's own tag is; the driver loads it under another.
_TAG = 'zun-nova/bench:latest'


def write(path: pathlib.Path, mib: int) -> None:
    """An image of that size whose files do not compress, as programs hardly do."""
    source = random.Random(mib)   # noqa: S311  the same bytes each time, no secret
    files = [cloud_image.file(f'data/{number}', source.randbytes(mib * _MIB // _FILES))
             for number in range(_FILES)]
    cloud_image.write(path, [*cloud_image.busybox_entries(), *files], {'Cmd': ['/bin/true']},
                      _TAG)


class Loads:
    """Brings one image into the engine, in both ways, and takes it out again."""

    def __init__(self, cloud: bench_cloud.Cloud, driver_: driver.ContainerDriver,
                 path: pathlib.Path, image: Any) -> None:
        self._cloud = cloud
        self._driver = driver_
        self._path = path
        self._image = image

    def file(self) -> float:
        began = time.monotonic()
        self._docker('load', '--input', str(self._path))
        took = time.monotonic() - began
        self._docker('rmi', _TAG)
        return took

    def glance(self) -> float:
        took = self.again()
        self._docker('rmi', compute.reference(self._image))
        return took

    def again(self) -> float:
        """What a server's start waits for; the image stays."""
        began = time.monotonic()
        self._driver.cache_image(compute.context(self._cloud), self._image.id)
        return time.monotonic() - began

    def _docker(self, *arguments: str) -> None:
        subprocess.run(['docker', '--host', self._cloud.host.engine_url, *arguments],
                       check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """Counts the bytes that come from Glance, in a list of one."""
    total = [0]
    original = glance.API.download

    def download(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        for chunk in original(self, *args, **kwargs):
            total[0] += len(chunk)
            yield chunk

    glance.API.download = download
    try:
        yield total
    finally:
        glance.API.download = original


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='bench/image', description='An image from Glance into the engine, against '
        '"docker load" of the same file, taken in turn.')
    parser.add_argument('-n', type=int, default=10, help='runs of each (%(default)s)')
    parser.add_argument('--mib', type=int, default=200, help='size of the image (%(default)s)')
    options = parser.parse_args(argv)
    cloud = bench_cloud.connect()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        driver_ = compute.become(cloud, directory)
        path = directory / 'image.tar'
        write(path, options.mib)
        with path.open('rb') as data:
            image = cloud.demo.image.create_image(
                name='bench', container_format='docker', disk_format='raw', data=data)
        stack.callback(cloud.demo.image.delete_image, image.id)
        image = cloud.admin.image.get_image(image.id)
        _measure(Loads(cloud, driver_, path, image), options.n, path.stat().st_size)


def _measure(loads: Loads, number: int, size: int) -> None:
    loads.file()
    loads.glance()
    file, streamed = [], []
    for _ in range(number):
        file.append(loads.file())
        streamed.append(loads.glance())
    with counted() as moved:
        loads.again()
        first, moved[0] = moved[0], 0
        again = loads.again()
        second = moved[0]
    print(f'image of {size / _MIB:.0f} MiB, bytes of random content')
    for title, seconds in (('docker load of the file', file), ('from Glance', streamed)):
        speed = size / _MIB / figures.median(seconds)
        print(f'{title}: {figures.spread(seconds)}, {speed:.0f} MiB/s')
    ratio = figures.median(file) / figures.median(streamed)
    print(f'speed of Glance / file: {ratio:.2f}, aim at least 0.9: '
          f'{"met" if ratio >= 0.9 else "MISSED"}')
    print(f'first boot: {first} bytes from Glance; second boot: {second} bytes, '
          f'{1000 * again:.0f} ms')
    loads.glance()
