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

"""Cinder volumes: how one becomes a file system in a server.

In this order: os-brick connects it (:mod:`brick`), a file becomes a device
(:mod:`loop`), what is on the device is looked at, and made when there is
nothing (:mod:`filesystem`), it is mounted on the host below the server's own
directory (:mod:`places`), which the server's container mounts at
:data:`places.INSIDE`, and into the container when that runs (:mod:`mounts`).
:mod:`volumes` puts these together, for :mod:`zun_nova.virt.driver`.

What is done as root is in :mod:`privileged`.
"""
