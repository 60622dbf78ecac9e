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

"""Do many things at once, each after what it needs."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing


@dataclasses.dataclass(frozen=True)
class Node:
    """One thing to do.

    :param after: names of the nodes that must have ended well before.
    :param run: does it; any exception is a failure and stops the rest.
    """

    name: str
    run: typing.Callable[[], None]
    after: tuple[str, ...] = ()


Report = typing.Callable[[str, float], None]


def check(nodes: typing.Iterable[Node]) -> list[Node]:
    """The nodes in one possible order.

    :raises ValueError: a name is missing or twice there, or they wait for each other.
    """
    left = {}
    for node in nodes:
        if node.name in left:
            raise ValueError(f'two nodes are called {node.name}')
        left[node.name] = node
    for node in left.values():
        unknown = set(node.after) - set(left)
        if unknown:
            raise ValueError(f'{node.name} waits for {sorted(unknown)}, which do not exist')
    ordered: list[Node] = []
    done: set[str] = set()
    while left:
        ready = [node for node in left.values() if done.issuperset(node.after)]
        if not ready:
            raise ValueError(f'{sorted(left)} wait for each other')
        for node in ready:
            ordered.append(left.pop(node.name))
            done.add(node.name)
    return ordered


def run(nodes: typing.Iterable[Node], report: Report) -> None:
    """Run every node, as many at once as their order allows.

    :param report: called with name and seconds when a node has ended well.
    :raises Exception: the first failure, once the nodes then running have ended; nodes not
        started by then are not run.
    """
    waiting = {node.name: node for node in check(nodes)}
    done: set[str] = set()
    running: dict[concurrent.futures.Future[None], tuple[str, float]] = {}
    with concurrent.futures.ThreadPoolExecutor(max(1, len(waiting))) as pool:
        while waiting or running:
            for node in [n for n in waiting.values() if done.issuperset(n.after)]:
                del waiting[node.name]
                running[pool.submit(node.run)] = (node.name, time.monotonic())
            ended, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in ended:
                name, began = running.pop(future)
                future.result()
                done.add(name)
                report(name, time.monotonic() - began)
