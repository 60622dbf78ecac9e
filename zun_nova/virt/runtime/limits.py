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

"""What engines can do that change the limits of containers which exist.

Optional beside :class:`zun_nova.virt.runtime.base.Runtime`; whether it works on
a host, :attr:`zun_nova.virt.runtime.base.Capabilities.update_limits` says.
"""

from __future__ import annotations

import abc

from zun_nova.virt import spec as container_spec


class Limiter(abc.ABC):
    """Changes what containers may use."""

    @abc.abstractmethod
    def update_limits(self, name: str, limits: container_spec.Limits) -> None:
        """Have the container of exactly this name keep these limits from now on.

        It runs on if it runs. Processor, memory, swap and number of processes
        change, the size of the writable layer does not. May be called again.

        :raises errors.NotFound: there is none.
        :raises errors.EngineError: refused, by the engine, the OCI runtime or the
            kernel (it uses more memory already); nothing has changed.
        """
