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

"""Print the tests the last stestr run skipped, each with its reason."""

import io
import subprocess
import sys

import subunit
import testtools


class Skips(testtools.StreamResult):
    """Collects the reasons of skipped tests from a subunit stream."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped: set[str] = set()
        self._reasons: dict[str, bytes] = {}

    def status(self, test_id=None, test_status=None, file_name=None, file_bytes=None,
               **kwargs) -> None:
        if file_name == 'reason' and test_id is not None:
            self._reasons[test_id] = self._reasons.get(test_id, b'') + (file_bytes or b'')
        if test_status == 'skip':
            self._skipped.add(test_id)

    def lines(self) -> list[str]:
        return [f'  {test_id}: {self._reason(test_id)}' for test_id in sorted(self._skipped)]

    def _reason(self, test_id: str) -> str:
        text = self._reasons.get(test_id, b'').decode()
        return ' '.join(text.split()) or 'no reason given'


def main() -> int:
    last = subprocess.run(['stestr', 'last', '--subunit'], stdout=subprocess.PIPE, check=False)
    if not last.stdout:
        print('No test run to look at.')
        return 0
    skips = Skips()
    subunit.ByteStreamToStreamResult(io.BytesIO(last.stdout)).run(skips)
    lines = skips.lines()
    print(f'Skipped tests: {len(lines)}')
    print('\n'.join(lines))
    return 0


if __name__ == '__main__':
    sys.exit(main())
