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

"""Tests that share a real Docker engine."""

from __future__ import annotations

import unittest

from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.tests.functional import engine


class DockerTest(runtime_contract.Case):
    """A test on Docker; all tests of a class share the engine.

    :ivar engine: an engine.DockerEngine.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        reason = images.why_no_busybox()
        if reason:
            raise unittest.SkipTest(reason)
        cls.engine = cls.new_engine()

    @classmethod
    def new_engine(cls):
        return engine.for_class(cls)

    def setUp(self):
        super().setUp()
        self.set_up_runtime(self.engine.runtime())
