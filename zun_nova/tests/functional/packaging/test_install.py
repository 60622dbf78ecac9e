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

"""Installs the project into fresh virtual environments beside a real Nova.

What is installed is a copy of the files git would commit, in a repository of
its own without tags, so that neither this checkout nor its history matters.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import testtools

ROOT = pathlib.Path(__file__).parents[4]
UV = shutil.which('uv', path=f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.defpath}')

# What a program that is about to load the driver sees, as JSON.
PROBE = """
import importlib.metadata, json
from oslo_utils import importutils
import nova
found = importutils.import_class('nova.virt.zun.ContainerDriver')
from nova.virt import driver
points = [point for group in ('oslo.config.opts', 'zun_nova.runtimes')
          for point in importlib.metadata.entry_points(group=group)
          if point.value.startswith('zun_nova')]
print(json.dumps({
    'nova': nova.__file__,
    'driver': f'{found.__module__}.{found.__name__}',
    'is_driver': issubclass(found, driver.ComputeDriver),
    'entry_points': {point.group: callable(point.load()) for point in points},
    'version': importlib.metadata.version('zun-nova'),
}))
"""


def run(*command: str | pathlib.Path, cwd: pathlib.Path | None = None) -> str:
    """Standard output of a command; its failure tells all it printed."""
    environment = {
        name: value for name, value in os.environ.items()
        if name not in ('PYTHONPATH', 'PBR_VERSION', 'VIRTUAL_ENV') and not name.startswith('GIT_')
    }
    done = subprocess.run(
        command, cwd=cwd or '/', env=environment, text=True, capture_output=True, check=False,
        timeout=900)
    if done.returncode:
        raise AssertionError(
            f'{" ".join(map(str, command))} exited {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


def commit(repository: pathlib.Path, message: str) -> None:
    run('git', '-c', 'user.name=test', '-c', 'user.email=test@localhost',
        'commit', '--quiet', '--allow-empty', '--message', message, cwd=repository)


def fingerprint(directory: pathlib.Path) -> dict[str, str]:
    """The files below a directory, byte code aside."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob('*'))
        if path.is_file() and path.suffix != '.pyc'
    }


@testtools.skipUnless(UV, 'uv is not installed')
@testtools.skipUnless(shutil.which('git'), 'git is not installed')
class InstallTest(testtools.TestCase):
    """Each way to install ends with Nova finding the driver."""

    work: pathlib.Path
    source: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix='zun-nova-packaging-'))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.source = cls.work / 'source'
        listed = run('git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard',
                     cwd=ROOT)
        for name in filter(None, listed.split('\0')):
            if (ROOT / name).exists():
                (cls.source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, cls.source / name)
        run('git', 'init', '--quiet', cls.source)
        run('git', 'add', '--all', cwd=cls.source)
        commit(cls.source, 'First')
        commit(cls.source, 'Second')

    def environment(self) -> pathlib.Path:
        """A virtual environment with pip, Nova and all else the project needs."""
        home = pathlib.Path(tempfile.mkdtemp(dir=self.work)) / 'venv'
        constraints = os.environ.get(
            'TOX_CONSTRAINTS_FILE', ROOT / 'devstack/standalone/constraints.txt')
        run(UV, 'venv', '--quiet', '--seed', '--python', sys.executable, home)
        run(UV, 'pip', 'install', '--quiet', '--python', home, '--constraints', constraints,
            '--requirements', self.source / 'requirements.txt')
        self.addCleanup(shutil.rmtree, home.parent)
        return home

    def build(self, source: pathlib.Path) -> pathlib.Path:
        target = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        run(UV, 'build', '--quiet', '--wheel', '--out-dir', target, source)
        return next(target.glob('*.whl'))

    def check(self, install: tuple[str | pathlib.Path, ...], home: pathlib.Path) -> None:
        """Install, look, remove, and see that Nova was left alone."""
        python = home / 'bin/python'
        version = f'python{sys.version_info.major}.{sys.version_info.minor}'
        nova = home / 'lib' / version / 'site-packages' / 'nova'
        before = fingerprint(nova)
        run(*install)

        # From a checkout's own directory, too, where nova/ lies without __init__.py.
        for cwd in (pathlib.Path('/'), self.source):
            seen = json.loads(run(python, '-W', 'ignore', '-c', PROBE, cwd=cwd))
            self.assertEqual(str(nova / '__init__.py'), seen['nova'])
            self.assertEqual('zun_nova.virt.driver.ContainerDriver', seen['driver'])
            self.assertTrue(seen['is_driver'])
            self.assertEqual(
                {'oslo.config.opts': True, 'zun_nova.runtimes': True}, seen['entry_points'])
            self.assertRegex(seen['version'], r'^\d+\.\d+\.\d+')
        run(UV, 'pip', 'check', '--python', home)

        run(python, '-m', 'pip', 'uninstall', '--quiet', '--yes', 'zun-nova')
        self.assertEqual(before, fingerprint(nova))

    def test_uv_regular(self) -> None:
        home = self.environment()
        self.check((UV, 'pip', 'install', '--python', home, self.build(self.source)), home)

    def test_uv_editable(self) -> None:
        home = self.environment()
        self.check((UV, 'pip', 'install', '--python', home, '--editable', self.source), home)

    def test_pip_regular(self) -> None:
        home = self.environment()
        self.check((home / 'bin/pip', 'install', self.source), home)

    def test_pip_editable(self) -> None:
        home = self.environment()
        self.check((home / 'bin/pip', 'install', '--editable', self.source), home)

    def test_wheel_files(self) -> None:
        with zipfile.ZipFile(self.build(self.source)) as wheel:
            names = set(wheel.namelist())
        packages = {name for name in names if '.dist-info/' not in name}
        foreign = {
            name for name in packages
            if not name.startswith(('nova/virt/zun/', 'zun_companion/', 'zun_nova/'))
        }
        self.assertEqual(set(), foreign)
        self.assertIn('nova/virt/zun/__init__.py', names)
        self.assertEqual(1, sum(name.endswith('.dist-info/licenses/LICENSE') for name in names))
        # Operators can run the conformance tests from what they installed.
        self.assertIn('zun_nova/tests/conformance/__init__.py', names)

        missing = {
            str(path.relative_to(self.source))
            for top in ('nova', 'zun_companion', 'zun_nova')
            for path in (self.source / top).rglob('*')
            if path.suffix in ('.py', '.json', '.yaml') and path.is_file()
        } - packages
        self.assertEqual(set(), missing)

    def test_shallow_clone(self) -> None:
        shallow = self.work / 'shallow'
        run('git', 'clone', '--quiet', '--depth', '1', f'file://{self.source}', shallow)
        self.assertRegex(self.build(shallow).name, r'^zun_nova-\d+\.\d+\.\d+.*\.whl$')
