"""What a Raspberry Pi needs."""

import subprocess
import sys

PROGRAM = """
import sys

ALLOWED = {"simulators", "connectors", "msgspec", "paho", *sys.stdlib_module_names}

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Nothing())
import simulators.device
print("fine")
"""


def test_the_device_client_runs_with_msgspec_paho_and_the_standard_library_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("fine", "")
