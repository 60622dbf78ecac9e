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

"""From our kinds of errors to the exceptions Nova acts on.

What Nova does with each: InvalidInput, ImageUnacceptable and
BuildAbortException end a build at once, with their reason for its owner to
read; any other error of a build makes Nova try another host.
When there is none left, owners are told just that: "Exhausted all hosts". So
why a host failed is noted as an action of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from nova import exception
from oslo_log import log as logging
import oslo_messaging

from zun_nova import errors
from zun_nova.vif import osvif
from zun_nova.virt import exits

LOG = logging.getLogger(__name__)

#: The action that tells why a host could not build the server.
BUILD_FAILED = 'build_failed'
#: The one that tells why there is no image of a snapshot.
SNAPSHOT_FAILED = 'snapshot_failed'
#: Those that tell why a volume is not there, still is, or is not larger.
VOLUME_ATTACH_FAILED = 'volume_attach_failed'
VOLUME_EXTEND_FAILED = 'volume_extend_failed'
VOLUME_DETACH_FAILED = 'volume_detach_failed'


@contextlib.contextmanager
def starting(options: Any) -> Iterator[None]:
    """Around the service's first talk with the engine.

    :param options: the group ``[zun_nova]``.
    """
    try:
        yield
    except errors.EngineTooOld as ex:
        raise exception.HypervisorUnavailable(f'{ex}. Upgrade the engine.') from ex
    except errors.EngineError as ex:
        raise exception.HypervisorUnavailable(
            f'{ex}. Is the engine running, may this user use its socket, and is [zun_nova] '
            f'{_url(options)} right?') from ex
    except errors.ConsoleUnavailable as ex:
        raise exception.NovaException(str(ex)) from ex


def _url(options: Any) -> str:
    """The option that says where the engine is; engines of other packages have their own."""
    name = f'{options.engine}_url'
    return f'{name} = {options.get(name)}' if name in options else name


@contextlib.contextmanager
def preparing(instance: Any) -> Iterator[None]:
    """Around the question whether this host can have a server.

    Of what happens there Nova passes on these two: the first ends the build,
    the second makes it try another host. All else becomes "Failure prepping
    block device".
    """
    try:
        yield
    except errors.InvalidSpec as ex:
        raise exception.InstanceUnacceptable(str(ex)) from ex
    except (errors.EngineError, errors.OtherTenant) as ex:
        _note(instance, ex)
        raise exception.ComputeResourcesUnavailable(reason=str(ex)) from ex


@contextlib.contextmanager
def building(instance: Any) -> Iterator[None]:
    """Around the making of a server."""
    try:
        yield
    except errors.InvalidSpec as ex:
        raise exception.InvalidInput(reason=str(ex)) from ex
    except errors.ImageInvalid as ex:
        raise exception.ImageUnacceptable(image_id=ex.image_id, reason=ex.reason) from ex
    except exception.PortBindingFailed as ex:
        # From Nova's allocation, which the driver is the first to wait for.
        unbound = errors.VifError(ex.kwargs['port_id'], osvif.UNBOUND)
        raise exception.BuildAbortException(
            instance_uuid=instance.uuid, reason=str(unbound)) from ex
    except (errors.VifError, errors.VolumeError, errors.ImageUnavailable, errors.StartFailed,
            errors.InvalidRequest, errors.OtherTenant) as ex:
        # Who moves here can only be told to move elsewhere. Of the others, the same
        # image, words and ports would fail on every other host as well, and all hosts
        # ask the same Glance. To try them would replace the cause by "Exhausted all hosts".
        # VirtualInterfaceCreateException, Nova's own for ports, would hide which port and why.
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=str(ex)) from ex
    except errors.EngineError as ex:
        _note(instance, ex)
        raise exception.InstanceDeployFailure(reason=str(ex)) from ex


def _note(instance: Any, ex: Exception, action: str = BUILD_FAILED) -> None:
    """Keep why this host failed for the owner of the server."""
    try:
        exits.record(instance.uuid, instance.project_id, str(ex), action)
    except (exception.NovaException, oslo_messaging.MessagingException):
        LOG.exception('Could not note for the owner: %s', ex, instance=instance)


@contextlib.contextmanager
def taking_snapshot(instance: Any) -> Iterator[None]:
    """Around a snapshot. When it fails Nova removes the image, and tells nobody why."""
    with operating(instance):
        try:
            yield
        except errors.NotFound:   # it is being deleted
            raise
        except (errors.EngineError, errors.ImageNotStored, exception.ImageQuotaExceeded) as ex:
            _note(instance, ex, SNAPSHOT_FAILED)
            raise


@contextlib.contextmanager
def changing_volumes(instance: Any, action: str) -> Iterator[None]:
    """Around attaching and the like, of which Nova tells the owner only that it failed.

    :param action: one of VOLUME_*_FAILED.
    """
    with operating(instance):
        try:
            yield
        except (errors.VolumeError, errors.Unsupported) as ex:
            _note(instance, ex, action)
            raise


@contextlib.contextmanager
def operating(instance: Any) -> Iterator[None]:
    """Around an operation on a server that exists already."""
    try:
        yield
    except errors.NotFound as ex:
        raise exception.InstanceNotFound(instance_id=instance.uuid) from ex
    except errors.Conflict as ex:
        raise exception.InstanceInvalidState(
            str(ex), instance_uuid=instance.uuid, attr='container', state='unsuitable',
            method=ex.operation) from ex
    except errors.VifError as ex:
        raise exception.VirtualInterfacePlugException(str(ex)) from ex
    except errors.VolumeInUse as ex:
        # The one that lets Nova give the volume back to the server.
        raise exception.DeviceDetachFailed(device=ex.volume_id, reason=ex.reason) from ex
    except errors.EngineUnavailable as ex:
        raise exception.HypervisorUnavailable(str(ex)) from ex
    except errors.ZunNovaError as ex:
        raise exception.NovaException(str(ex)) from ex


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Around what is asked of the host as a whole."""
    try:
        yield
    except errors.EngineError as ex:
        raise exception.HypervisorUnavailable(str(ex)) from ex
