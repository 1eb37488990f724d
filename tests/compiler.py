"""The mark of tests of what a C compiler makes."""

import os
import shutil
import sys

import pytest

from unetsearch.native import NATIVE

WITHOUT = {
    "the loops in C are for Linux": sys.platform != "linux",
    f"{NATIVE} is 0": os.environ.get(NATIVE) == "0",
    "no gcc here": shutil.which("gcc") is None,
}

compiled = pytest.mark.skipif(any(WITHOUT.values()), reason=next((why for why, so in WITHOUT.items() if so), ""))
