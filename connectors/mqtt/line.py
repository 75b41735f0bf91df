"""The line of received messages: acknowledged to the broker in the order they came, once they are in Kafka."""

from collections import deque

from connectors.mqtt.messages import Entry


class Line:
    """Everything received and not yet acknowledged, in order of arrival, over all connections.

    MQTT demands acknowledgements in order, and a packet id is valid on the connection that delivered it alone: an id of
    an earlier connection may mean another message by now.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._entries)

    def connected(self, generation: int) -> None:
        """Note a new connection: what an earlier one delivered is never acknowledged on it."""
        self.generation = generation

    def join(self, entry: Entry) -> Entry:
        """Put a message at the end of the line."""
        self._entries.append(entry)
        return entry

    def leave(self) -> list[Entry]:
        """Take those from the front that are done, in order."""
        left = []
        while self._entries and self._entries[0].done:
            left.append(self._entries.popleft())
        return left

    def may_acknowledge(self, entry: Entry) -> bool:
        """Whether the broker waits for this entry's acknowledgement on the connection that stands."""
        return entry.qos == 1 and entry.generation == self.generation
