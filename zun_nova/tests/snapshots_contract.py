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

"""What every engine that makes images of containers must do.

The same tests run against the fake engine (unit) and real ones (functional).
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any
import uuid

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.virt.runtime import base

TIMEOUT = 60


class Snapshots(runtime_contract.Case):
    """Images made of containers in every state."""

    def committed(self, name: str, pause: bool = False) -> str:
        """Make an image of a container; returns its name."""
        reference = f'zun-test/snapshot:{uuid.uuid4()}'
        # First of the clean-ups that of the container made of it.
        self.addCleanup(self.runtime.remove_image, reference)
        image_id = self.runtime.commit(name, reference, pause, TIMEOUT)
        self.assertEqual(self.runtime.image_id(reference), image_id)
        return reference

    def saved(self, reference: str) -> bytes:
        """Its archive."""
        with self.runtime.save_image(reference, TIMEOUT) as pieces:
            return b''.join(pieces)

    def writer(self, **changes: Any) -> str:
        """A container that has written a file, and runs."""
        name: str = self.started(
            'sh', '-c', 'echo 42 > /written; echo ready; sleep infinity', **changes)
        self.settled(name, b'ready')
        return name

    def test_it_has_what_was_written_in_every_state(self) -> None:
        for state, bring in ((base.State.RUNNING, lambda name: None),
                             (base.State.PAUSED, self.runtime.pause),
                             (base.State.EXITED, lambda name: self.runtime.stop(name, 0))):
            name = self.writer()
            bring(name)
            for pause in (True, False):
                reference = self.committed(name, pause)
                self.assertEqual(state, self.runtime.inspect(name).state)
                self.assertEqual(b'42\n', self.output('cat', '/written', image=reference))

    def again(self, **changes: Any) -> tuple[bytes, bytes]:
        """What a container writes, and what one writes that is made of an image of it."""
        name = self.started(*changes.pop('args'), **changes)
        self.ended(name)
        again = self.spec(image=self.committed(name), args=None)
        self.runtime.create(again)
        self.runtime.start(again.name)
        self.ended(again.name)
        return self.runtime.logs(name, 1000), self.runtime.logs(again.name, 1000)

    def test_a_container_made_of_it_runs_the_same(self) -> None:
        for process in ({'args': ('echo', 'same')},
                        {'command': ('echo', 'same'), 'args': ('again',)},
                        {'command': ('echo', 'same'), 'args': ()}):
            before, after = self.again(**process)
            self.assertIn(b'same', before)
            self.assertEqual(before, after)

    def test_labels_of_the_container_are_not_the_images(self) -> None:
        secret = str(uuid.uuid4())
        name = self.created(*runtime_contract.SLEEP, labels={'project': secret})
        reference = self.committed(name)
        made = self.created(*runtime_contract.SLEEP, image=reference)
        self.assertNotIn(secret, self.runtime.inspect(made).labels.values())

    def test_saved_and_loaded_again(self) -> None:
        name = self.writer()
        reference = self.committed(name)
        archive = self.saved(reference)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            [image] = json.load(tar.extractfile('manifest.json'))   # type: ignore[arg-type]
        [name] = image['RepoTags']
        self.assertEqual(reference, name.removeprefix('localhost/'))   # Podman's own
        self.runtime.remove_image(reference)
        self.runtime.load_image([archive], reference)
        self.assertEqual(b'42\n', self.output('cat', '/written', image=reference))

    def test_what_is_absent(self) -> None:
        name = self.new_name()
        reference = f'zun-test/snapshot:{uuid.uuid4()}'
        self.assertRaises(
            errors.NotFound, self.runtime.commit, name, reference, True, TIMEOUT)
        self.assertIsNone(self.runtime.image_id(reference))
        self.assertRaises(errors.NotFound, self.saved, reference)
        container_id = self.runtime.inspect(self.created(*runtime_contract.SLEEP)).id
        self.assertRaises(
            errors.NotFound, self.runtime.commit, container_id, reference, True, TIMEOUT)

    def test_what_is_raised_by_who_reads_comes_back(self) -> None:
        reference = self.committed(self.created(*runtime_contract.SLEEP))
        for failure in (OSError('x'), ValueError('x')):
            with self.assertRaisesRegex(type(failure), 'x'):
                with self.runtime.save_image(reference, TIMEOUT) as pieces:
                    next(pieces)
                    raise failure
