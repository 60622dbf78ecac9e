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

"""What the tests of wiring share."""

from __future__ import annotations

import json
from typing import Any
import unittest

from zun_nova.tests.functional.vif import hosts
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import plug
from zun_nova.vif import privileged

_SKIP = hosts.missing()


class Server:
    """A namespace and a port or more in it."""

    def __init__(self, netns: hosts.Namespace, *network_info: Any) -> None:
        self.netns = netns
        self.instance = hosts.Instance()
        self.network_info = list(network_info)

    def plug(self) -> None:
        plug.plug_all(self.instance, self.network_info, self.netns.path)

    def unplug(self) -> None:
        plug.unplug_all(self.instance, self.network_info)

    def links(self) -> dict[str, Any]:
        return {row['ifname']: row for row in self._json('link')}

    def addresses(self, name: str = 'eth0') -> list[str]:
        rows = self._json('addr', 'show', name)[0]['addr_info']
        return [f'{r["local"]}/{r["prefixlen"]}' for r in rows if r['scope'] == 'global']

    def routes(self, version: str = '-4') -> set[tuple[Any, ...]]:
        return {(r['dst'], r.get('gateway'), r['dev'], r.get('metric'))
                for r in self._json(version, 'route') if r['protocol'] == '110'}

    def _json(self, *arguments: str) -> Any:
        return json.loads(self.netns.output('ip', '-j', '-d', *arguments))


class WiringCase(unittest.TestCase):

    daemon = False

    def setUp(self) -> None:
        super().setUp()
        if _SKIP:
            self.skipTest(_SKIP)
        self.host = self.use(hosts.Host(daemon=self.daemon))

    def use(self, fixture: Any) -> Any:
        fixture.setUp()
        self.addCleanup(fixture.cleanUp)
        return fixture

    def server(self, number: int, *more: Any, **fields: Any) -> Server:
        """A server with one port 10.7.0.N, fd07::N, and more ports."""
        port = fakes.vif(
            fakes.subnet('10.7.0.0/24', f'10.7.0.{number}', gateway='10.7.0.1'),
            fakes.subnet('fd07::/64', f'fd07::{number}', gateway='fd07::1'),
            port_id=hosts.new_id(), mac=f'fa:16:3e:00:00:{number:02x}', **fields)
        return Server(self.use(hosts.Namespace()), port, *more)

    def two_servers(self) -> tuple[Server, Server]:
        one, two = self.server(11), self.server(12)
        one.plug()
        two.plug()
        return one, two

    def assert_talk(self, one: Server, number: int = 12) -> None:
        for address in (f'10.7.0.{number}', f'fd07::{number}'):
            self.assertTrue(one.netns.ping(address), address)


class Killed(BaseException):
    """Stands for the end of the process."""


class KilledAfter:
    """Lets as many of the privileged and os-vif calls happen, then kills."""

    NAMES = ('is_wired', 'bring_in', 'create', 'attach', 'configure', 'delete')

    def __init__(self, steps: int) -> None:
        self._left = steps

    def __enter__(self) -> None:
        self._saved = [(privileged, name, getattr(privileged, name)) for name in self.NAMES]
        self._saved += [(plug.os_vif, name, getattr(plug.os_vif, name))
                        for name in ('plug', 'unplug')]
        for owner, name, func in self._saved:
            setattr(owner, name, self._limited(func))

    def __exit__(self, *_exc: object) -> None:
        for owner, name, func in self._saved:
            setattr(owner, name, func)

    def _limited(self, func: Any) -> Any:
        def call(*args: Any) -> Any:
            if self._left == 0:
                raise Killed
            self._left -= 1
            return func(*args)
        return call
