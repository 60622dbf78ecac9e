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

"""What Neutron's iptables_hybrid firewall leaves in the machine's own iptables and ipsets.

The layer 2 agent ends without taking its rules away: servers are to keep their protection. All of
its chains and sets have names of their own.
"""

from __future__ import annotations

import itertools
import shlex
import shutil
import typing

from zun_cloud import shell

PROGRAMS = ('iptables', 'ip6tables')
CHAINS = 'neutron-'
# IPv4, IPv6 and their half-filled copies: NIPv4<security group>, NETIPv4...
SETS = ('NIPv4', 'NIPv6', 'NETIPv4', 'NETIPv6')


def rules(program: str) -> str:
    """What that program's ``-save`` prints; nothing where it is not installed."""
    save = f'{program}-save'
    return shell.run([save]) if shutil.which(save) else ''


def chains(saved: str) -> list[tuple[str, str]]:
    """The agent's chains in the output of iptables-save: table and name."""
    return [
        (table, line[1:].split()[0]) for table, line in _lines(saved)
        if line.startswith(f':{CHAINS}')
    ]


def removal(saved: str) -> str:
    """What ``iptables-restore --noflush`` must read to take the agent's chains away.

    Rules of others stay as they are, and their counters too.
    """
    gone = chains(saved)
    text = []
    for table in dict.fromkeys(table for table, _ in gone):
        names = {name for where, name in gone if where == table}
        text.append(f'*{table}')
        text += [
            f'-D{line[2:]}' for where, line in _lines(saved)
            if where == table and _jumps(line, names)
        ]
        text += [f'-F {name}' for name in sorted(names)]
        text += [f'-X {name}' for name in sorted(names)]
        text.append('COMMIT')
    return ''.join(f'{line}\n' for line in text)


def sets() -> list[str]:
    """Names of the agent's ipsets."""
    if not shutil.which('ipset'):
        return []
    return [name for name in shell.run(['ipset', 'list', '-name']).split()
            if name.startswith(SETS)]


def clear() -> None:
    """Take away all of it. May be repeated."""
    for program in PROGRAMS:
        text = removal(rules(program))
        if text:
            shell.run([f'{program}-restore', '--noflush'], stdin=text)
    for name in sets():
        shell.run(['ipset', 'destroy', name], check=False)


def _lines(saved: str) -> typing.Iterator[tuple[str, str]]:
    """Every line with the table it belongs to."""
    table = ''
    for line in saved.splitlines():
        if line.startswith('*'):
            table = line[1:]
        yield table, line


def _jumps(line: str, names: set[str]) -> bool:
    """Whether it is a rule, in a chain of someone else's, that leads into one of these."""
    words = shlex.split(line)
    return (
        len(words) > 3 and words[0] == '-A' and words[1] not in names
        and any(pair in (('-j', name), ('-g', name))
                for name in names for pair in itertools.pairwise(words))
    )
