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

"""From what Docker and the way to it answer, to the kinds of zun_nova.errors.

The only place that looks at status codes and at the engine's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import re
from typing import Any

import docker.errors
import requests
import urllib3.exceptions

from zun_nova import errors

#: Kind by HTTP status; what is not listed is a plain EngineError.
KINDS: Mapping[int, type[errors.EngineError]] = {
    400: errors.InvalidRequest,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.Unsupported,
    503: errors.EngineUnavailable,
}

#: The same for the call that starts a process. It has no arguments the engine
#: could refuse: 400 is a command that does not exist, 500 all other reasons.
START_KINDS: Mapping[int, type[errors.EngineError]] = {
    **KINDS, 400: errors.StartFailed, 500: errors.StartFailed}

# Refusals of a create request that Docker answers with 500.
_REFUSED = re.compile(
    r'not a directory|too many (?:levels of symbolic )?links|cannot overwrite directory'
    r'|--storage-opt|invalid --security-opt|invalid volume|invalid mount')

# OCI runtimes say why a process did not start in their own words: runc, crun, runsc.
_CAUSES = [(re.compile(pattern), words) for pattern, words in (
    (r'exec: \\?"([^"\\]*)\\?": executable file not found',
     'its command {0!r} is not in the image'),
    (r'exec: \\?"([^"\\]*)\\?": stat [^:]*: no such file',
     'its command {0!r} is not in the image'),
    (r'executable file `([^`]*)` not found', 'its command {0!r} is not in the image'),
    (r'error finding executable "([^"]*)"', 'its command {0!r} is not in the image'),
    (r'exec: \\?"([^"\\]*)\\?": permission denied', 'its command {0!r} is no executable file'),
    (r'exec: \\?"([^"\\]*)\\?": is a directory', 'its command {0!r} is a directory'),
    (r'exec format error', 'its command is made for another processor architecture'),
    (r'unable to find user ([^:]*):', 'its user {0!r} is not in /etc/passwd of the image'),
    (r'unable to find group ([^:]*):', 'its group {0!r} is not in /etc/group of the image'),
    (r'sysctl "([^"]*)" is not in a separate kernel namespace',
     'its sysctl {0} would change the whole host'),
    (r'write /proc/sys/([^:]*): invalid argument',
     'the kernel refuses the value of its sysctl {0}'),
    (r'cannot overwrite directory \\?"([^"\\]*)', 'its file {0} is a directory in the image'),
    (r'extraction point is not a directory|lstat .*: not a directory|but is not a directory',
     'what the image has on the way to one of its files is no directory'),
    (r'statfs ([^:]*): no such file', 'what is to be mounted, {0}, is not on the host'),
    (r'error setting rlimit|setrlimit `', 'one of its ulimits is more than this host allows'),
    (r'unable to apply caps: operation not permitted',
     'the flavor gives it capabilities that the host itself does not have'),
    (r'Minimum memory limit allowed is (\S+)',
     'the flavor has less memory than a container needs ({0}); choose one with more'),
    (r'OOM-killed \(memory limit too low',
     'the flavor has too little memory to start the process; choose one with more'),
    (r'[Nn]o command specified', 'neither the image nor its owner names a command'),
)]

# What Docker says of registries, and what it passes on of their words; first match.
_REGISTRY: list[tuple[re.Pattern[str], type[errors.EngineError], str]] = [
    (re.compile(pattern), kind, words) for pattern, kind, words in (
        (r'no space left on device', errors.EngineError, 'no space left on device'),
        (r'no basic auth credentials|[Uu]nauthorized|[Uu]nauthenticated|[Ff]orbidden'
         r'|(?<!permission )denied|authentication required|incorrect username or password',
         errors.AccessDenied, 'refuses access'),
        (r'toomanyrequests|Too Many Requests', errors.RegistryUnavailable,
         'has had too many requests from here'),
        (r'no matching manifest for (\S+)', errors.InvalidRequest,
         'has no image for {0}, as this host needs'),
        # Podman and skopeo.
        (r'no image found in .* for architecture ("?\w+"?)', errors.InvalidRequest,
         'has no image for linux/{0}, as this host needs'),
        (r'verification failed', errors.InvalidRequest,
         'delivers what does not match the digest'),
        (r'when fetching|[Uu]nsupported|not supported|[Uu]nknown media ?[Tt]ype|no config found'
         r'|invalid rootfs|unexpected media type', errors.InvalidRequest,
         'holds no image of a container there'),
        (r'manifest unknown|name unknown|not found', errors.NotFound, 'has no such image'),
        (r'no such host', errors.RegistryUnavailable, 'is not known to DNS'),
        (r'connection refused', errors.RegistryUnavailable, 'refuses connections'),
        (r'x509|certificate', errors.RegistryUnavailable,
         'has a certificate that the engine does not trust'),
        (r'HTTP response to HTTPS client', errors.RegistryUnavailable,
         'does not speak TLS, which the engine insists on'),
        (r'[Tt]imeout|deadline exceeded|timed out', errors.RegistryUnavailable,
         'does not answer in time'),
        (r'HTTP status:? (\d+)', errors.RegistryUnavailable, 'answers with status {0}'),
        (r'EOF|connection reset|no route to host|network is unreachable|broken pipe',
         errors.RegistryUnavailable, 'breaks the connection'),
    )]

_NOISE = re.compile(
    r'^((failed to create shim task|failed to create task for container'
    r'|OCI runtime create failed|runc create failed'
    r'|unable to start container process|error during container init): )+|: unknown$')


@contextlib.contextmanager
def translate(operation: str, url: str,
              kinds: Mapping[int, type[errors.EngineError]] = KINDS) -> Iterator[None]:
    """Turn what the body raises into an errors.EngineError.

    :param operation: what is asked, as a verb phrase ("start container X").
    :param url: of the engine, for the message when it does not answer.
    :param kinds: error by HTTP status.
    """
    try:
        yield
    except requests.exceptions.HTTPError as ex:   # docker.errors.APIError is one
        response: Any = ex.response
        raise answered(operation, response.status_code, _message(response), kinds) from ex
    except (docker.errors.DockerException, urllib3.exceptions.HTTPError, OSError) as ex:
        # OSError is the base of the errors of requests, too.
        if any(_is_timeout(link) for link in _chain(ex)):
            raise errors.EngineTimeout(
                operation, f'the engine at {url} did not answer in time') from ex
        raise errors.EngineUnavailable(
            operation, f'no engine answers at {url}: {_reason(ex)}') from ex


def answered(operation: str, status: int, message: str,
             kinds: Mapping[int, type[errors.EngineError]] = KINDS) -> errors.EngineError:
    """The error for an answer of the engine.

    :param message: the engine's words.
    """
    kind = kinds.get(status, errors.EngineError)
    if kind is errors.EngineError and _REFUSED.search(message):
        kind = errors.InvalidRequest
    return kind(operation, plain(message))


def plain(message: str) -> str:
    """The engine's words on a failure, in words for the owner of the server."""
    for pattern, words in _CAUSES:
        found = pattern.search(message)
        if found:
            return words.format(*found.groups())
    return _NOISE.sub('', message.strip())


def of_registry(ex: errors.EngineError) -> errors.EngineError:
    """The error for a call in which the engine asks a registry; its detail is what that does.

    A registry's words are not passed on: they can repeat what it was sent.
    """
    if isinstance(ex, errors.EngineUnavailable | errors.Unsupported):
        return ex
    if isinstance(ex, errors.EngineTimeout):
        return errors.RegistryUnavailable(ex.operation, 'does not answer in time')
    for pattern, kind, words in _REGISTRY:
        found = pattern.search(ex.detail)
        if found:
            return kind(ex.operation, words.format(*found.groups()))
    kind = type(ex)
    if kind is errors.NotFound:
        return errors.NotFound(ex.operation, 'has no such image')
    if kind is errors.InvalidRequest:
        return errors.InvalidRequest(ex.operation, 'can have no image of this name')
    return errors.RegistryUnavailable(ex.operation, 'does not answer as a registry should')


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()['message'])
    except (ValueError, KeyError, TypeError):
        return response.text.strip() or f'status {response.status_code}'


def _chain(ex: BaseException) -> Iterator[BaseException]:
    """The error and all it was made from: requests and urllib3 nest them as arguments."""
    todo: list[object] = [ex]
    seen: set[int] = set()
    while todo:
        link = todo.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        todo += [*link.args, link.__cause__, link.__context__]


def _is_timeout(ex: BaseException) -> bool:
    return isinstance(
        ex, TimeoutError | requests.exceptions.Timeout | urllib3.exceptions.TimeoutError)


def _reason(ex: BaseException) -> str:
    """What the system said of it, such as "Connection refused"."""
    for link in _chain(ex):
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
    return str(ex)
