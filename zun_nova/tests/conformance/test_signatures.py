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
"""Nova promises nothing to drivers outside its tree, and changes signatures."""

from __future__ import annotations

import inspect

from nova import test
from nova.virt import driver as nova_driver

from zun_nova.virt import driver


class SignaturesTest(test.NoDBTestCase):

    def test_overridden_methods_take_what_nova_gives(self) -> None:
        for name, method in inspect.getmembers(driver.ContainerDriver, inspect.isfunction):
            if name.startswith('_') or method.__qualname__.startswith('ComputeDriver.'):
                continue
            with self.subTest(name):
                base = getattr(nova_driver.ComputeDriver, name, None)
                self.assertIsNotNone(base, 'Nova knows no such method')
                self.assertEqual(_parameters(base), _parameters(method))


def _parameters(method: object) -> list[tuple[str, object]]:
    """Names and defaults, without the types Nova has not."""
    return [(parameter.name, parameter.default)
            for parameter in inspect.signature(method).parameters.values()]
