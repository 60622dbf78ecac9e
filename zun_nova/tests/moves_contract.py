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

"""What every engine must do whose servers can be resized and migrated.

The same tests run against the fake engine (unit) and real ones (functional).
"""

from __future__ import annotations

import dataclasses
import uuid

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.virt import layer_archive

TIMEOUT = 60
_MIB = 1024 ** 2


class Layers(runtime_contract.Case):
    """What images consist of, and images without what is below."""

    def committed(self, name: str, reference: str) -> str:
        self.addCleanup(self.runtime.remove_image, reference)
        return str(self.runtime.commit(name, reference, False, TIMEOUT))

    def test_a_layer_more(self) -> None:
        reference = f'zun-test/layer:{uuid.uuid4()}'
        name = self.started('sh', '-c', 'echo 42 > /written; echo ready; sleep infinity')
        self.settled(name, b'ready')
        image_id = self.committed(name, reference)
        below = self.runtime.image_layers(runtime_contract.IMAGE)
        made = self.runtime.image_layers(reference)
        self.assertTrue(made.begins_with(below))
        self.assertFalse(below.begins_with(made))
        self.assertEqual(len(below.diff_ids) + 1, len(made.diff_ids))
        self.assertLess(below.size_bytes, made.size_bytes)
        self.assertEqual(made, self.runtime.image_layers(image_id))

    def test_no_such_image(self) -> None:
        self.assertRaises(errors.NotFound, self.runtime.image_layers, 'zun-test/none:1')

    def test_an_archive_without_the_layers_below(self) -> None:
        reference, other = (f'zun-test/layer:{uuid.uuid4()}' for _ in range(2))
        name = self.started('sh', '-c', 'echo 42 > /written; echo ready; sleep infinity')
        self.settled(name, b'ready')
        image_id = self.committed(name, reference)
        below = len(self.runtime.image_layers(runtime_contract.IMAGE).diff_ids)
        with self.runtime.save_image(reference, TIMEOUT) as pieces:
            saved = layer_archive.find(pieces)
        with self.runtime.save_image(reference, TIMEOUT) as pieces:
            small = list(layer_archive.without_below(pieces, saved, below, other))
        self.assertLess(sum(map(len, small)), 100_000)
        self.runtime.remove(name)
        self.runtime.remove_image(reference)
        self.addCleanup(self.runtime.remove_image, other)
        self.assertEqual(image_id, self.runtime.load_image(small, other))
        self.assertEqual(b'42\n', self.output('cat', '/written', image=other))


class Limits(runtime_contract.Case):
    """Limits that change while a container runs."""

    def test_it_runs_on(self) -> None:
        name = self.started(*runtime_contract.SLEEP)
        pid = self.runtime.inspect(name).pid
        before = self.spec(name=name).limits
        for memory in (before.memory_bytes * 2, before.memory_bytes):
            self.runtime.update_limits(name, dataclasses.replace(
                before, memory_bytes=memory, memory_swap_bytes=memory + 16 * _MIB,
                cpu_quota_us=150_000))
            self.assertEqual(pid, self.runtime.inspect(name).pid)

    def test_what_is_refused_changes_nothing(self) -> None:
        name = self.started(*runtime_contract.SLEEP)
        limits = dataclasses.replace(
            self.spec(name=name).limits, memory_bytes=1024, memory_swap_bytes=1024)
        self.assertRaises(errors.EngineError, self.runtime.update_limits, name, limits)
        self.assertTrue(self.runtime.inspect(name).pid)

    def test_no_such_container(self) -> None:
        self.assertRaises(errors.NotFound, self.runtime.update_limits,
                          self.new_name(), self.spec().limits)


class Moves(Layers, Limits):
    """All of it."""
