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

"""Check that each entry point written in setup.cfg can be imported.

setup.cfg is read rather than the installed metadata, which may be older.
"""

import configparser
import importlib
import sys


def main() -> int:
    config = configparser.ConfigParser(delimiters=('=',))
    config.optionxform = str
    config.read('setup.cfg')
    failures = []
    for group, text in config['entry_points'].items():
        for line in filter(None, map(str.strip, text.splitlines())):
            name, _, target = (part.strip() for part in line.partition('='))
            module, _, attribute = target.partition(':')
            try:
                found = importlib.import_module(module)
                for part in filter(None, attribute.split('.')):
                    found = getattr(found, part)
            except (ImportError, AttributeError) as error:
                failures.append(f'{group}: {name} = {target}: {error}')
    print('\n'.join(failures) or 'Every entry point of setup.cfg can be imported.')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
