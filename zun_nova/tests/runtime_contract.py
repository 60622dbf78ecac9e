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

"""What every container engine behind zun_nova.virt.runtime.base must do.

The same tests run against the fake engine (unit) and real ones (functional).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import dataclasses
import itertools
import pathlib
import time
from typing import Any
import uuid

import fixtures
import testtools

from zun_nova import errors
from zun_nova.tests import images
from zun_nova.virt import process
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import events

IMAGE = 'zun-test/busybox:1'
PREFIX = 'zun-test-'
MIB = 1024 * 1024
SLEEP = ('sleep', 'infinity')


class Case(testtools.TestCase):  # type: ignore[misc]  # testtools has no types
    """Helpers. Subclasses call set_up_runtime() in their setUp().

    :ivar runtime: what is tested; holds an image named IMAGE.
    """

    runtime: Any

    def set_up_runtime(self, runtime: Any) -> None:
        """Use this runtime, after giving it the image."""
        self.runtime = runtime
        if runtime.image_id(IMAGE) is None:
            runtime.load_image([images.busybox(IMAGE)], IMAGE)

    def new_name(self) -> str:
        """A name no one else uses; its container and its network are removed in the end."""
        name = f'{PREFIX}{uuid.uuid4()}'
        self.addCleanup(self.runtime.close_network, name)
        self.addCleanup(self.runtime.remove, name)
        return name

    def spec(self, *args: str, **changes: Any) -> container_spec.ContainerSpec:
        """A container without network that runs args."""
        values: dict[str, Any] = {
            'name': changes.get('name') or self.new_name(),
            'image': IMAGE,
            'limits': container_spec.Limits(
                memory_bytes=64 * MIB, memory_swap_bytes=64 * MIB, cpu_quota_us=100_000,
                cpu_shares=1024, pids=64, disk_bytes=0),
            'security': container_spec.Security(cap_drop=('NET_RAW',)),
            'args': args,
        }
        return container_spec.ContainerSpec(**(values | changes))

    def created(self, *args: str, **changes: Any) -> str:
        """Create a container; returns its name."""
        spec = self.spec(*args, **changes)
        self.runtime.create(spec)
        return spec.name

    def started(self, *args: str, **changes: Any) -> str:
        """Create and start one; returns its name."""
        name = self.created(*args, **changes)
        self.runtime.start(name)
        return name

    def network(self, **changes: Any) -> container_spec.NetworkSpec:
        """What to open for a server."""
        values: dict[str, Any] = {
            'name': changes.get('name') or self.new_name(), 'hostname': 'web'}
        return container_spec.NetworkSpec(**(values | changes))

    def ended(self, name: str) -> base.ContainerInfo:
        """Wait until it has ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            info: base.ContainerInfo = self.runtime.inspect(name)
            if info.state is base.State.EXITED:
                return info
            time.sleep(0.02)
        self.fail(f'{name} still runs')
        raise AssertionError

    def output(self, *args: str, **changes: Any) -> bytes:
        """What a container wrote that ended by itself."""
        name = self.started(*args, **changes)
        self.ended(name)
        output: bytes = self.runtime.logs(name, MIB)
        return output

    def settled(self, name: str, wanted: bytes) -> None:
        """Wait until it has written this: only then its trap is set."""
        deadline = time.monotonic() + 60
        while wanted not in self.runtime.logs(name, 1000):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class LifeCycle(Case):
    """Create, start, stop, remove."""

    def test_info(self) -> None:
        info = self.runtime.info()
        self.assertIn(info.default_runtime, info.runtimes)
        self.assertTrue(info.cpus and info.memory_bytes and info.version and info.api_version)
        self.assertFalse([name for name in info.runtimes if '.' in name])

    def test_states_of_a_life(self) -> None:
        name = self.created(*SLEEP, labels={'a': 'b'})
        info = self.runtime.inspect(name)
        self.assertEqual((base.State.CREATED, None, None), (info.state, info.pid, info.exit_code))
        self.assertEqual((name, self.runtime.image_id(IMAGE)), (info.name, info.image_id))
        self.assertEqual('b', info.labels['a'])
        self.runtime.start(name)
        info = self.runtime.inspect(name)
        self.assertEqual((base.State.RUNNING, None), (info.state, info.exit_code))
        self.assertTrue(info.pid)
        self.runtime.stop(name, 0)
        info = self.runtime.inspect(name)
        self.assertEqual((base.State.EXITED, None, 137), (info.state, info.pid, info.exit_code))
        self.assertFalse(info.oom_killed)
        self.runtime.remove(name)
        self.assertRaises(errors.NotFound, self.runtime.inspect, name)

    def test_it_can_be_started_again(self) -> None:
        name = self.started('sh', '-c', 'exit 43')
        self.assertEqual(43, self.ended(name).exit_code)
        self.runtime.start(name)
        self.assertEqual(43, self.ended(name).exit_code)

    def test_exit_codes(self) -> None:
        for code in (0, 43):
            self.assertEqual(code, self.ended(self.started('sh', '-c', f'exit {code}')).exit_code)

    def test_everything_may_be_repeated(self) -> None:
        name = self.created(*SLEEP)
        for call in (self.runtime.start, self.runtime.pause, self.runtime.unpause):
            call(name)
            call(name)
        self.runtime.stop(name, 0)
        self.runtime.stop(name, 0)
        self.runtime.unpause(name)
        self.runtime.remove(name)
        self.runtime.remove(name)

    def test_what_is_absent(self) -> None:
        name = self.new_name()
        for call in (self.runtime.inspect, self.runtime.start, self.runtime.pause,
                     self.runtime.unpause, self.runtime.network_path):
            self.assertRaises(errors.NotFound, call, name)
        self.assertRaises(errors.NotFound, self.runtime.stop, name, 1)
        self.assertRaises(errors.NotFound, self.runtime.logs, name, 100)
        self.runtime.remove(name)
        self.runtime.close_network(name)

    def test_a_running_container_is_removed(self) -> None:
        name = self.started(*SLEEP)
        self.runtime.remove(name)
        self.assertRaises(errors.NotFound, self.runtime.inspect, name)

    def test_a_paused_container_is_removed(self) -> None:
        name = self.started(*SLEEP)
        self.runtime.pause(name)
        self.runtime.remove(name)
        self.assertRaises(errors.NotFound, self.runtime.inspect, name)

    def test_a_missing_command_fails_the_start_in_plain_words(self) -> None:
        name = self.created('no-such-command')
        failure = self.assertRaises(errors.StartFailed, self.runtime.start, name)
        self.assertIn("its command 'no-such-command' is not in the image", str(failure))
        self.assertIn('no-such-command', self.runtime.inspect(name).error)
        self.assertEqual(base.State.CREATED, self.runtime.inspect(name).state)
        self.runtime.remove(name)

    def test_a_taken_name_is_a_conflict(self) -> None:
        name = self.created(*SLEEP)
        self.assertRaises(errors.Conflict, self.runtime.create, self.spec(*SLEEP, name=name))

    def test_a_missing_image(self) -> None:
        self.assertRaises(
            errors.NotFound, self.runtime.create, self.spec(image='zun-test/absent:1'))

    def test_what_the_engine_refuses(self) -> None:
        small = container_spec.Limits(
            memory_bytes=MIB, memory_swap_bytes=MIB, cpu_quota_us=100_000, cpu_shares=1024, pids=9)
        for changes in ({'limits': small}, {'runtime': 'no-such-runtime'}):
            failure = self.assertRaises(
                errors.InvalidRequest, self.runtime.create, self.spec(*SLEEP, **changes))
            self.assertIn('Cannot create container', str(failure))

    def test_environment_entrypoint_and_arguments(self) -> None:
        self.assertEqual(b'a b\n', self.output('a b', command=('echo',)))


class Files(Case):
    """What is there before the process starts."""

    def test_they_are_there_whatever_the_container_may_write(self) -> None:
        files = (process.File('/etc/app/x/first', b'1\n'), process.File('/etc/second', b'2\n'),
                 process.File('/third', b'3\n'))
        script = ';'.join(f'cat {file.path}' for file in files)
        for read_only in (False, True):
            self.assertEqual(b'1\n2\n3\n', self.output(
                'sh', '-c', script, files=files, read_only=read_only))

    def test_they_are_gone_with_the_container(self) -> None:
        name = self.created(
            *SLEEP, files=(process.File('/etc/first', b'1\n'),), read_only=True)
        for _ in range(2):
            self.runtime.remove(name)
        left = [image.reference for image in self.runtime.list_images('zun-nova/files')]
        self.assertNotIn(name, ''.join(left))
        self.assertNotIn(name, ''.join(row.name for row in self.runtime.list({})))

    def test_no_directory_is_made_of_a_file(self) -> None:
        for read_only in (False, True):
            failure = self.assertRaises(
                errors.InvalidRequest, self.runtime.create, self.spec(
                    *SLEEP, files=(process.File('/etc/passwd/x', b''),), read_only=read_only))
            self.assertIn('no directory', str(failure))


class Mounts(Case):
    """What of the host a container sees."""

    def test_files_of_the_host(self) -> None:
        directory = self.useFixture(fixtures.TempDir()).path
        pathlib.Path(directory, 'first').write_text('1\n')
        single = pathlib.Path(directory, 'first')
        self.assertEqual(b'1\n1\n', self.output(
            'sh', '-c', 'cat /given/first;cat /etc/single', mounts=(
                container_spec.Mount(directory, '/given'),
                container_spec.Mount(str(single), '/etc/single', read_only=True))))

    def test_what_is_not_there_is_refused(self) -> None:
        gone = self.useFixture(fixtures.TempDir()).path + '/gone'
        self.assertRaises(errors.InvalidRequest, self.runtime.create, self.spec(
            *SLEEP, mounts=(container_spec.Mount(gone, '/given'),)))


class Rename(Case):
    """One container makes room for another."""

    def test_only_the_name_changes(self) -> None:
        for read_only in (False, True):
            name = self.started('sh', '-c', 'cat /a; sleep infinity', labels={'a': 'b'},
                                files=(process.File('/a', b'first\n'),), read_only=read_only)
            self.settled(name, b'first')
            before, other = self.runtime.inspect(name), self.new_name()
            self.runtime.rename(name, other)
            self.assertRaises(errors.NotFound, self.runtime.inspect, name)
            after = self.runtime.inspect(other)
            self.assertEqual(dataclasses.replace(before, name=other), after)
            second = self.created(*SLEEP, name=name, read_only=read_only,
                                  files=(process.File('/a', b'second\n'),))
            self.assertRaises(errors.Conflict, self.runtime.rename, other, second)
            self.runtime.stop(other, 0)
            self.runtime.start(other)
            for each in (name, other):
                self.runtime.remove(each)
                left = [image.reference for image in self.runtime.list_images('zun-nova/files')]
                self.assertNotIn(f'zun-nova/files:{each}', left)
                self.assertIsNone(self.runtime.image_id(f'zun-nova/files:{each}'))

    def test_what_is_not_there(self) -> None:
        self.assertRaises(errors.NotFound, self.runtime.rename, self.new_name(), self.new_name())


class Stop(Case):
    """How containers are stopped and paused."""

    def test_the_stop_signal_is_obeyed(self) -> None:
        name = self.started('sh', '-c', 'trap "exit 7" TERM; echo ready; sleep infinity & wait')
        self.settled(name, b'ready')
        self.runtime.stop(name, 20)
        self.assertEqual(7, self.runtime.inspect(name).exit_code)

    def test_another_stop_signal(self) -> None:
        name = self.started('sh', '-c', 'trap "exit 9" USR1; echo ready; sleep infinity & wait',
                            stop_signal='SIGUSR1')
        self.settled(name, b'ready')
        self.runtime.stop(name, 20)
        self.assertEqual(9, self.runtime.inspect(name).exit_code)

    def test_who_does_not_listen_is_killed(self) -> None:
        name = self.started(*SLEEP)
        began = time.monotonic()
        self.runtime.stop(name, 1)
        self.assertTrue(1 <= time.monotonic() - began < 10)
        self.assertEqual(137, self.runtime.inspect(name).exit_code)

    def test_its_own_grace_time_is_kept(self) -> None:
        for seconds in (7, None):
            name = self.created(*SLEEP, stop_timeout=seconds)
            self.assertEqual(seconds, self.runtime.inspect(name).stop_timeout)

    def test_stopped_while_paused(self) -> None:
        for timeout in (0, 1):
            name = self.started(*SLEEP)
            self.runtime.pause(name)
            self.assertEqual(base.State.PAUSED, self.runtime.inspect(name).state)
            self.runtime.stop(name, timeout)
            self.assertEqual(base.State.EXITED, self.runtime.inspect(name).state)

    def test_pause_and_unpause(self) -> None:
        name = self.started(*SLEEP)
        self.runtime.pause(name)
        self.assertEqual(base.State.PAUSED, self.runtime.inspect(name).state)
        self.assertRaises(errors.Conflict, self.runtime.start, name)
        self.runtime.unpause(name)
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)

    def test_what_does_not_run_cannot_be_paused(self) -> None:
        name = self.created(*SLEEP)
        self.assertRaises(errors.Conflict, self.runtime.pause, name)


class Find(Case):
    """Containers are found by exact name and by all labels."""

    def test_list_wants_every_label(self) -> None:
        mark = str(uuid.uuid4())
        both = self.created(*SLEEP, labels={'mark': mark, 'role': 'a'})
        running = self.started(*SLEEP, labels={'mark': mark, 'role': 'b'})
        self.created(*SLEEP, labels={'mark': f'{mark}0', 'role': 'a'})
        rows = {row.name: row for row in self.runtime.list({'mark': mark})}
        self.assertEqual({both, running}, set(rows))
        self.assertEqual(base.State.CREATED, rows[both].state)
        self.assertEqual(base.State.RUNNING, rows[running].state)
        self.assertEqual({'mark': mark, 'role': 'a'}, dict(rows[both].labels))
        self.assertEqual(self.runtime.inspect(both).id, rows[both].id)
        self.assertEqual(self.runtime.image_id(IMAGE), rows[both].image_id)
        self.assertEqual(
            [both], [row.name for row in self.runtime.list({'mark': mark, 'role': 'a'})])

    def test_the_beginning_of_a_name_is_no_name(self) -> None:
        name = self.created(*SLEEP)
        for part in (name[:-1], name[1:], f'{name}0'):
            self.assertRaises(errors.NotFound, self.runtime.inspect, part)

    def test_an_id_is_no_name(self) -> None:
        name = self.started(*SLEEP)
        container_id = self.runtime.inspect(name).id
        for part in (container_id, container_id[:12], container_id[:5]):
            for call in (self.runtime.inspect, self.runtime.start, self.runtime.pause,
                         self.runtime.unpause):
                self.assertRaises(errors.NotFound, call, part)
            self.assertRaises(errors.NotFound, self.runtime.stop, part, 0)
            self.assertRaises(errors.NotFound, self.runtime.logs, part, 100)
            self.runtime.remove(part)
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)


class Logs(Case):
    """The end of what a container wrote."""

    def test_in_every_state(self) -> None:
        name = self.created('sh', '-c', 'echo out; echo err >&2; sleep infinity')
        self.assertEqual(b'', self.runtime.logs(name, 100))
        self.runtime.start(name)
        self.settled(name, b'err\n')
        self.assertEqual(
            [b'err', b'out'], sorted(self.runtime.logs(name, 100).splitlines()))
        self.runtime.pause(name)
        self.assertIn(b'out\n', self.runtime.logs(name, 100))
        self.runtime.stop(name, 0)
        self.assertIn(b'out\n', self.runtime.logs(name, 100))

    def test_only_the_end_of_many_lines(self) -> None:
        name = self.started('seq', '1', '150000')   # about a megabyte
        self.ended(name)
        for size in (1, 1000, 100_000):
            output = self.runtime.logs(name, size)
            self.assertEqual(size, len(output))
            self.assertTrue(b'149999\n150000\n'.endswith(output[-14:]))

    def test_short_lines(self) -> None:
        everything = self.output('seq', '1', '9999')
        self.assertEqual(b''.join(b'%d\n' % number for number in range(1, 10000)), everything)

    def test_the_end_of_one_huge_line(self) -> None:
        name = self.started('printf', '%01000000d', '7')
        self.ended(name)
        self.assertEqual(b'0' * 99_999 + b'7', self.runtime.logs(name, 100_000))

    def test_less_than_wanted(self) -> None:
        self.assertEqual(b'hello\n', self.output('echo', 'hello'))

    def test_a_terminal_ends_lines_its_own_way(self) -> None:
        self.assertEqual(b'hello\r\n', self.output('echo', 'hello', tty=True))


class Network(Case):
    """Network namespaces that outlive containers."""

    def test_opened_once(self) -> None:
        network = self.network()
        path = self.runtime.open_network(network)
        self.assertEqual(path, self.runtime.open_network(network))
        self.assertEqual(path, self.runtime.network_path(network.name))

    def test_closed(self) -> None:
        network = self.network()
        self.runtime.open_network(network)
        self.runtime.close_network(network.name)
        self.assertRaises(errors.NotFound, self.runtime.network_path, network.name)
        self.runtime.close_network(network.name)

    def test_it_stays_while_containers_come_and_go(self) -> None:
        network = self.network()
        path = self.runtime.open_network(network)
        name = self.started(*SLEEP, name=network.name, network=network.name)
        self.runtime.stop(name, 0)
        self.assertEqual(path, self.runtime.network_path(name))
        self.runtime.start(name)
        self.runtime.remove(name)
        self.started(*SLEEP, name=network.name, network=network.name)
        self.assertEqual(path, self.runtime.open_network(network))

    def test_it_carries_host_name_and_name_servers(self) -> None:
        network = self.network(
            hostname='web-1', dns_servers=('10.1.2.3', 'fd00::53'),
            dns_search=('a.test', 'b.test'))
        self.runtime.open_network(network)
        output = self.output(
            'sh', '-c', 'hostname; cat /etc/hostname; cat /etc/resolv.conf',
            name=network.name, network=network.name)
        self.assertEqual([b'web-1', b'web-1', b'search a.test b.test', b'nameserver 10.1.2.3',
                          b'nameserver fd00::53'], output.splitlines()[:5])

    def test_its_labels(self) -> None:
        mark = str(uuid.uuid4())
        self.runtime.open_network(self.network(labels={'mark': mark}))
        self.assertEqual(1, len(self.runtime.list({'mark': mark})))

    def test_a_container_whose_network_was_closed_cannot_start(self) -> None:
        network = self.network()
        self.runtime.open_network(network)
        name = self.created(*SLEEP, name=network.name, network=network.name)
        self.runtime.close_network(name)
        self.assertRaises(errors.Conflict, self.runtime.start, name)
        self.runtime.remove(name)

    def test_opened_by_many_at_once(self) -> None:
        network = self.network()
        with futures.ThreadPoolExecutor(8) as pool:
            paths = set(pool.map(self.runtime.open_network, [network] * 8))
        self.assertEqual({self.runtime.network_path(network.name)}, paths)


class Images(Case):
    """The engine's image store."""

    def new_reference(self) -> str:
        """A name for an image; removed in the end."""
        reference = f'zun-test/image:{uuid.uuid4()}'
        self.addCleanup(self.runtime.remove_image, reference)
        return reference

    def test_load_find_and_remove(self) -> None:
        reference = self.new_reference()
        self.assertIsNone(self.runtime.image_id(reference))
        image_id = self.runtime.load_image(iter([images.archive(reference)]), reference)
        self.assertEqual(image_id, self.runtime.image_id(reference))
        self.assertEqual(
            image_id, self.runtime.load_image([images.archive(reference)], reference))
        self.runtime.remove_image(reference)
        self.assertIsNone(self.runtime.image_id(reference))
        self.runtime.remove_image(reference)

    def test_names_of_a_repository(self) -> None:
        repository = f'zun-test/{uuid.uuid4()}'
        references = {f'{repository}:{tag}' for tag in ('1', '2')}
        for reference in (*references, f'{repository}x:1', f'{repository}/x:1'):
            self.addCleanup(self.runtime.remove_image, reference)
            self.runtime.load_image([images.archive(reference)], reference)
        listed = self.runtime.list_images(repository)
        self.assertEqual(references, {image.reference for image in listed})
        for image in listed:
            self.assertEqual(self.runtime.image_id(image.reference), image.id)
        self.assertEqual([], self.runtime.list_images(f'{repository}y'))

    def test_pieces_of_any_size(self) -> None:
        reference = self.new_reference()
        archive = images.archive(reference)
        pieces = [archive[:1], b'', archive[1:700], archive[700:]]
        self.assertTrue(self.runtime.load_image(pieces, reference))

    def test_what_the_iterable_raises_comes_back_and_nothing_is_loaded(self) -> None:
        for failure in (ValueError('x'), OSError('x'), TimeoutError('x'), RuntimeError('x'),
                        errors.NotFound('x', 'y')):
            for part in (0.5, 1):
                reference = self.new_reference()
                archive = images.archive(reference)
                raised = self.assertRaises(
                    type(failure), self.runtime.load_image,
                    _broken(archive[:int(len(archive) * part)], failure), reference)
                self.assertIs(failure, raised)
                self.assertIsNone(self.runtime.image_id(reference))

    def test_what_is_no_archive(self) -> None:
        reference = self.new_reference()
        archive = images.archive(reference)
        for content in ([b'garbage' * 1000], [b'garbage' * 1000] * 5000, [],
                        [archive[:len(archive) // 2]], [images.tar({'file': b'content'})]):
            self.assertRaises(
                errors.InvalidRequest, self.runtime.load_image, content, reference)

    def test_an_archive_of_another_name(self) -> None:
        failure = self.assertRaises(
            errors.InvalidRequest, self.runtime.load_image,
            [images.archive(self.new_reference())], self.new_reference())
        self.assertIn('holds no image named', str(failure))

    def test_an_image_in_use(self) -> None:
        reference = self.new_reference()
        self.runtime.load_image([images.archive(reference)], reference)
        name = self.created('anything', image=reference)
        self.assertRaises(errors.Conflict, self.runtime.remove_image, reference)
        self.runtime.remove(name)


class Concurrency(Case):
    """One runtime, many threads."""

    def test_eight_lives_at_once(self) -> None:
        networks = [self.network() for _ in range(8)]

        def live(network: container_spec.NetworkSpec) -> bytes:
            self.runtime.open_network(network)
            name = self.started('echo', network.name, name=network.name, network=network.name)
            self.ended(name)
            output: bytes = self.runtime.logs(name, 100)
            self.runtime.remove(name)
            self.runtime.close_network(name)
            return output

        with futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual([f'{network.name}\n'.encode() for network in networks],
                             list(pool.map(live, networks)))

    def test_removed_by_many_at_once(self) -> None:
        name = self.started(*SLEEP)
        with futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.runtime.remove, [name] * 4))
        self.assertRaises(errors.NotFound, self.runtime.inspect, name)


class Events(Case):
    """What an engine tells by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.mine = {'test': str(uuid.uuid4())}

    def watching(self) -> events.Stream:
        """A stream of the containers labelled as this test's."""
        stream: events.Stream = self.runtime.watch(self.mine)
        self.addCleanup(stream.close)
        return stream

    def test_a_life(self) -> None:
        stream = self.watching()
        began = time.time()
        self.started(*SLEEP)   # not of interest
        name = self.started(*SLEEP, labels=self.mine)
        self.runtime.pause(name)
        self.runtime.unpause(name)
        self.runtime.stop(name, 0)
        self.runtime.remove(name)
        seen = list(itertools.islice(stream, 6))
        self.assertEqual(
            [events.Change.STARTED, events.Change.PAUSED, events.Change.UNPAUSED,
             events.Change.SIGNALLED, events.Change.STOPPED, events.Change.REMOVED],
            [event.change for event in seen])
        for event in seen:
            self.assertEqual((name, self.mine['test']), (event.name, event.labels['test']))
            self.assertTrue(began <= event.time <= time.time(), event)
        self.assertEqual([None] * 4 + [137, None], [event.exit_code for event in seen])

    def test_an_end_of_its_own(self) -> None:
        stream = self.watching()
        self.started('sh', '-c', 'exit 43', labels=self.mine)
        ended = list(itertools.islice(stream, 2))[1]
        self.assertEqual((events.Change.STOPPED, 43), (ended.change, ended.exit_code))

    def test_closed_while_somebody_waits(self) -> None:
        stream = self.watching()
        with futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(list, stream)
            self.started(*SLEEP)   # of no interest: it waits on
            self.assertFalse(waiting.done())
            stream.close()
            self.assertEqual([], waiting.result(10))
            stream.close()


class Contract(LifeCycle, Files, Mounts, Rename, Stop, Find, Logs, Network, Images, Concurrency,
               Events):
    """All of it."""


def _broken(archive: bytes, failure: Exception) -> Iterator[bytes]:
    yield archive
    raise failure
