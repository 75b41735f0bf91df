"""Where Flink's distribution lies, and how its programs are started without its shell scripts.

The scripts start a JVM of their own just to compute memory sizes; `memory.py` does that sum, so a part is up two
seconds earlier and its process id is the JVM's.
"""

import os
import shutil
import uuid
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml

from deploy.local.layout import PARTS_HOME

CONNECTOR = PARTS_HOME / "flink/flink-sql-connector-kafka-5.0.0-2.2.jar"
PLANNER_LOADER = "flink-table-planner-loader"
PLANNER = "flink-table-planner.jar"
"""The planner inside its loader's jar."""


class FlinkMissing(Exception):
    """The distribution, or Java, can't be found; the message says the mend."""


@dataclass(frozen=True)
class Distribution:
    """A Flink distribution and the Java that runs it."""

    home: Path
    java: Path

    def class_path(self) -> str:
        """Return the jars of `lib/`, flink-dist last, as the scripts order them."""
        jars = sorted(self.home.glob("lib/*.jar"), key=lambda jar: (jar.name.startswith("flink-dist"), jar.name))
        return ":".join(map(str, jars))

    def cluster_class_path(self) -> str:
        """Return what a job manager and a task manager load: the distribution, its Python jar, and the connector.

        Jars that each job brings along are loaded again for each, and a task manager never forgets the last ones.
        """
        extra = [*([CONNECTOR] if CONNECTOR.is_file() else []), *sorted(self.home.glob("opt/flink-python-*.jar"))]
        return ":".join([*map(str, extra), self.class_path()])

    def client_class_path(self, folder: Path) -> str:
        """Return what the client loads: as the cluster, with the planner's own jar in place of its loader.

        Classes behind the loader would not be in Java's class data. The jar is unpacked into `folder` once.
        """
        planner = self._extract_planner(folder)
        if planner is None:
            return self.cluster_class_path()
        kept = [jar for jar in self.cluster_class_path().split(":") if PLANNER_LOADER not in Path(jar).name]
        return ":".join([str(planner), *kept])

    def _extract_planner(self, folder: Path) -> Path | None:
        """Return the planner's own jar; None if there is none, or `folder` belongs to somebody else."""
        loader = next(iter(self.home.glob(f"lib/{PLANNER_LOADER}-*.jar")), None)
        if loader is None:
            return None
        planner = folder / loader.name.replace(PLANNER_LOADER, "flink-table-planner")
        if not planner.exists():
            if not os.access(folder, os.W_OK):
                return None
            draft = planner.with_suffix(f".{uuid.uuid4().hex}")
            with zipfile.ZipFile(loader) as packed, packed.open(PLANNER) as source, draft.open("wb") as target:
                shutil.copyfileobj(source, target)
            draft.replace(planner)
        return planner

    def java_options(self) -> list[str]:
        """Return the add-opens of the shipped `env.java.opts.all`, which Flink needs on Java 17."""
        shipped = yaml.safe_load((self.home / "conf/config.yaml").read_text())
        return str(shipped["env"]["java"]["opts"]["all"]).split()

    def environment(self, conf: Path) -> dict[str, str]:
        """Return what Flink's programs read from the environment."""
        return {
            "FLINK_HOME": str(self.home),
            "FLINK_CONF_DIR": str(conf),
            "FLINK_LIB_DIR": str(self.home / "lib"),
            "FLINK_OPT_DIR": str(self.home / "opt"),
            "FLINK_PLUGINS_DIR": str(self.home / "plugins"),
        }


def find_java() -> Path:
    """Return the Java of JAVA_HOME, else of PATH.

    Raises
    ------
    FlinkMissing
        If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin/java") if home else shutil.which("java")
    if not found or not Path(found).is_file():
        raise FlinkMissing(
            "no Java found: install Java 17 (Debian: apt install openjdk-17-jre-headless) or set JAVA_HOME"
        )
    return Path(found)


def find_distribution(home: Path | None = None) -> Distribution:
    """Return the distribution at `home`, else the one inside PyPI's apache-flink.

    Raises
    ------
    FlinkMissing
        If there is none, or no Java.
    """
    if home is None:
        spec = find_spec("pyflink")  # without importing it, which takes a second
        if spec is None or not spec.submodule_search_locations:
            raise FlinkMissing("Flink is not installed: pip install 'tidemark[jobs]', or name its folder in flink.home")
        home = Path(next(iter(spec.submodule_search_locations)))
    if not list(home.glob("lib/flink-dist*.jar")):
        raise FlinkMissing(f"{home} holds no Flink distribution (lib/flink-dist*.jar is missing)")
    return Distribution(home.resolve(), find_java())
