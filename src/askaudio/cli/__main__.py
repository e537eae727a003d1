"""``python -m askaudio.cli`` is the same as ``askaudio``."""

import sys

from askaudio.cli import main

sys.exit(main())
