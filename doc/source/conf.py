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

"""Sphinx configuration."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / '_ext'))

extensions = [
    'conformance',
    'container_config',
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'reno.sphinxext',
    'sphinx.ext.autodoc',
]

project = 'zun-nova'
copyright = 'The zun-nova developers'

html_theme = 'openstackdocs'
openstackdocs_auto_name = False
openstackdocs_repo_name = 'zun-nova'

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'

config_generator_config_file = [
    ('../../etc/zun-nova-config-generator.conf', '_static/zun-nova'),
]
