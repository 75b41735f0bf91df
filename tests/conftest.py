"""How the tests run on a build server: property tests draw the same examples each time, so a red build is a change's."""

import os

from hypothesis import settings

settings.register_profile("build-server", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("build-server")
