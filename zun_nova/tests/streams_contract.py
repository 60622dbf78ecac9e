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

"""What every engine with zun_nova.virt.runtime.streams must do.

The same tests run against the fake engine (unit) and real ones (functional).
"""

from __future__ import annotations

from concurrent import futures
import threading
from typing import Any

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.virt.runtime import streams

MIB = runtime_contract.MIB
SLEEP = runtime_contract.SLEEP


class Case(runtime_contract.Case):
    """Helpers."""

    def run_in(self, name: str, *argv: str, **options: Any) -> streams.ExecResult:
        """Run it with more time and space than it needs."""
        result: streams.ExecResult = self.runtime.exec_run(
            name, argv, **({'timeout': 60, 'max_output': MIB} | options))
        return result

    def shell(self, **changes: Any) -> str:
        """A container whose own process is a shell on a terminal."""
        return self.started('sh', tty=True, **changes)

    def opened(self, name: str, *argv: str) -> streams.Terminal:
        """A terminal of its own process, or of another; closed in the end."""
        terminal: streams.Terminal = (
            self.runtime.exec_terminal(name, argv, 24, 80) if argv else self.runtime.attach(name))
        self.addCleanup(terminal.close)
        return terminal

    def until(self, terminal: streams.Terminal, wanted: bytes | None) -> bytes:
        """All that is shown until it holds this; None: until the end."""
        late = threading.Timer(60, terminal.close)
        late.start()
        seen = b''
        try:
            while wanted is None or wanted not in seen:
                data = terminal.receive()
                if not data:
                    break
                seen += data
        finally:
            late.cancel()
        self.assertTrue(wanted is None or wanted in seen, seen)
        return seen


class Exec(Case):
    """Programs that run until they end."""

    def test_both_outputs_and_the_exit_code(self) -> None:
        name = self.started(*SLEEP)
        result = self.run_in(name, 'sh', '-c', 'echo out; echo err >&2; exit 43')
        self.assertEqual(streams.ExecResult(43, b'out\n', b'err\n'), result)
        self.assertEqual(0, self.run_in(name, 'true').exit_code)

    def test_input_arrives_whole_and_ends(self) -> None:
        name = self.started(*SLEEP)
        for data in (b'x', bytes(range(256)) * 8, bytes(range(256)) * 4096):
            result = self.run_in(name, 'cat', stdin=data)
            self.assertEqual((0, False), (result.exit_code, result.truncated))
            self.assertTrue(data == result.stdout, len(result.stdout))
        self.assertEqual(b'', self.run_in(name, 'cat').stdout)

    def test_who_does_not_read_its_input_ends_all_the_same(self) -> None:
        name = self.started(*SLEEP)
        result = self.run_in(name, 'sh', '-c', 'exit 7', stdin=b'x' * 4 * MIB)
        self.assertEqual(7, result.exit_code)

    def test_no_more_output_is_kept_than_wanted(self) -> None:
        name = self.started(*SLEEP)
        result = self.run_in(name, 'seq', '1', '300000', max_output=12)
        self.assertEqual((b'1\n2\n3\n4\n5\n6\n', True), (result.stdout, result.truncated))
        exact = self.run_in(name, 'seq', '1', '6', max_output=12)
        self.assertEqual((b'1\n2\n3\n4\n5\n6\n', False), (exact.stdout, exact.truncated))

    def test_a_missing_program(self) -> None:
        name = self.started(*SLEEP)
        failure = self.assertRaises(
            errors.StartFailed, self.run_in, name, 'no-such-program', stdin=b'secret')
        self.assertIn("'no-such-program' is not in the image", str(failure))

    def test_what_does_not_run(self) -> None:
        self.assertRaises(errors.NotFound, self.run_in, self.new_name(), 'true')
        name = self.created(*SLEEP)
        self.assertRaises(errors.Conflict, self.run_in, name, 'true')
        self.runtime.start(name)
        self.runtime.pause(name)
        self.assertRaises(errors.Conflict, self.run_in, name, 'true')
        self.assertRaises(
            errors.NotFound, self.run_in, self.runtime.inspect(name).id[:12], 'true')

    def test_what_takes_too_long(self) -> None:
        name = self.started(*SLEEP)
        failure = self.assertRaises(
            errors.EngineTimeout, self.run_in, name, 'sleep', 'infinity', timeout=0.5)
        self.assertIn('did not end within 0.5 s and was killed', str(failure))
        self.assertEqual(0, self.run_in(name, 'true').exit_code)


class Terminals(Case):
    """Programs that people type to."""

    def test_several_are_attached_at_once(self) -> None:
        name = self.shell()
        first, second = self.opened(name), self.opened(name)
        for terminal in (first, second):   # an engine answers before it shows what others type
            terminal.send(b'here\n')
            self.until(terminal, b'here')
        for typist in (first, second):
            word = f'typed-{id(typist)}'.encode()
            typist.send(word + b'\n')
            self.until(first, word)
            self.until(second, word)
        first.close()
        second.send(b'still-here\n')
        self.until(second, b'still-here')

    def test_the_terminal_ends_with_the_process(self) -> None:
        name = self.shell()
        attached, other = self.opened(name), self.opened(name, 'sh')
        self.runtime.stop(name, 0)
        self.until(attached, None)
        self.until(other, None)
        attached.send(b'x')
        attached.resize(10, 10)
        attached.close()

    def test_who_cannot_be_attached_to(self) -> None:
        self.assertRaises(errors.NotFound, self.runtime.attach, self.new_name())
        self.assertRaises(errors.Unsupported, self.runtime.attach, self.started(*SLEEP))
        name = self.created('sh', tty=True)
        self.assertRaises(errors.Conflict, self.runtime.attach, name)
        self.runtime.start(name)
        self.runtime.pause(name)
        self.assertRaises(errors.Conflict, self.runtime.attach, name)
        self.assertRaises(errors.Conflict, self.runtime.exec_terminal, name, ['sh'], 24, 80)

    def test_a_shell_beside_the_process(self) -> None:
        terminal = self.opened(self.started(*SLEEP), 'sh')
        terminal.send(b'some-words\n')
        self.until(terminal, b'some-words')
        terminal.resize(50, 132)

    def test_closed_while_somebody_waits(self) -> None:
        name = self.shell()
        for terminal in (self.opened(name), self.opened(name, 'sleep', 'infinity')):
            with futures.ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(self.until, terminal, None)
                terminal.close()
                waiting.result(60)
                terminal.close()

    def test_a_missing_program(self) -> None:
        name = self.started(*SLEEP)
        failure = self.assertRaises(
            errors.StartFailed, lambda: self.opened(name, 'no-such-program').receive())
        self.assertIn("'no-such-program' is not in the image", str(failure))


class Contract(Exec, Terminals):
    """All of it."""
