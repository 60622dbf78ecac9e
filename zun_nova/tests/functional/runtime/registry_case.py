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

"""Tests that pull with a real engine from real registries."""

from __future__ import annotations

import unittest

from zun_nova.tests import images
from zun_nova.tests import registry_contract
from zun_nova.tests.functional import engine
from zun_nova.tests.functional import registry


class Pulls(registry_contract.Pulls):
    """All tests of a class share the engine and the registries.

    :cvar KIND: of the engine.
    """

    KIND: type[engine.DockerEngine] = engine.DockerEngine

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        reason = images.why_no_busybox() or registry.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        cls.registries = [registry.Registry(), registry.Registry(closed=True)]
        for each in cls.registries:
            each.setUp()
            cls.addClassCleanup(each.cleanUp)
        cls.prepare()
        cls.engine = engine.for_class(cls, kind=cls.KIND)

    @classmethod
    def prepare(cls):
        """Before the engine starts, when the registries run."""

    def setUp(self):
        super().setUp()
        self.set_up_runtime(self.engine.runtime())

    def push(self, *, closed=False, architecture=None, is_list=False):
        # A layer of its own: what other tests pulled is nothing of this.
        layers = [images.busybox_layer(), images.tar({'id': self.id().encode()})]
        made_in = self.registries[closed]
        remote = made_in.push('team/web', layers, architecture=architecture, Env=['PATH=/bin'],
                              Cmd=['sh'])
        return made_in.push_list(remote, architecture) if is_list else remote

    def end_registry(self):
        self.registries[0].stop()
        self.addCleanup(self.registries[0].start)
