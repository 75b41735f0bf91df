"""Starting the broker with a filter before its log.

mosquitto 2.0 tells of refused publishes among its debug messages alone, and those have four lines for each message that
it passes on. The filter drops these lines, so that the log stays small and what it tells is found.
"""

PASSED = r"^[^ ]*: (Received|Sending) (PUB|PING|CONN|DISC|UNSUB|AUTH)[A-Z]+ (from|to) "
"""A line for each packet but SUBSCRIBE and SUBACK, between which one sees what was granted. Nobody can begin another
line so: a client id stands first in a line only before a digit."""
OTHER = r"^[^ ]*: (No will message specified\.$|Will message specified \()"
"""A line for each connection."""

# A filter that is killed is replaced, and the pipe stays open meanwhile: the broker neither waits nor loses its log.
# SIGTERM isn't for it: it ends when the broker has, so that the broker's last words are kept.
_SCRIPT = """\
ulimit -d "$3"
exec "$0" -c "$1" 2> >(
    trap '' TERM INT HUP
    while LC_ALL=C grep -a --line-buffered -v -E "$2"; [ $? -gt 128 ]; do :; done
)
"""


def filtered(program: str, config: str, memory_bytes: int) -> tuple[str, ...]:
    """Return the command; the process that it starts becomes the broker itself, so signals reach it.

    `memory_bytes` is what the broker may have at most.
    """
    return ("bash", "-c", _SCRIPT, program, config, f"{PASSED}|{OTHER}", str(memory_bytes // 1024))
