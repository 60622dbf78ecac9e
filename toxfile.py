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

"""Lets the environments of tox.ini share one directory.

tox recreates an environment whose directory was made under another name. What
is compared besides the name (interpreter, dependencies) stays compared, so a
change of either still makes it anew. Should tox keep its record elsewhere one
day, sharing stops and nothing else.
"""

import json
from pathlib import Path

from tox.plugin import impl
from tox.tox_env.api import ToxEnv


@impl
def tox_env_teardown(tox_env: ToxEnv) -> None:
    """Forget which environment used the shared directory last."""
    record = Path(tox_env.env_dir) / '.tox-info.json'
    if tox_env.env_dir.name != 'shared' or not record.exists():
        return
    content = json.loads(record.read_text())
    content.pop('ToxEnv', None)
    record.write_text(json.dumps(content, indent=2))
