"""Names that a file can have here: macOS takes no bytes that are not UTF-8, Linux takes nearly any."""

import sys

import pytest

TAKES_ANY_BYTES = sys.platform != "darwin"
needs_any_bytes = pytest.mark.skipif(not TAKES_ANY_BYTES, reason="its file system takes no such name")
