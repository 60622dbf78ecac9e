from __future__ import annotations

import sys

from zun_cloud import cli

sys.exit(cli.main())
