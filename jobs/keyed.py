"""Keying in the JVM. PyFlink's `key_by` would send every row through Python twice.

`KeyByKeySelector` is PyFlink's own Java class, not public API: the version of Flink is pinned, and a test runs this.
"""

from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway

WINDOW = Types.ROW_NAMED(
    ["shard", "ms", "records", "first", "last", "late"],
    [
        Types.INT(),
        Types.LONG(),
        Types.OBJECT_ARRAY(Types.PRIMITIVE_ARRAY(Types.BYTE())),
        Types.LONG(),
        Types.LONG(),
        Types.BOOLEAN(),
    ],
)
KEY = Types.ROW([Types.INT()])


def keyed_by_first(stream: DataStream) -> KeyedStream:
    """Key a stream of rows `(key INT, WINDOW)` by their first field, in the JVM."""
    inner: Any = stream._j_data_stream  # noqa: SLF001 - PyFlink has no public way to key without Python
    inner.getTransformation().setOutputType(Types.ROW([Types.INT(), WINDOW]).get_java_type_info())
    keyed = inner.keyBy(get_gateway().jvm.KeyByKeySelector(), KEY.get_java_type_info())
    return KeyedStream(keyed, WINDOW, stream)
