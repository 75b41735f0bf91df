"""On a build server, property tests draw the same examples each time, so that a red build is the change's doing."""

import os

from hypothesis import settings

settings.register_profile("build-server", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("build-server")
