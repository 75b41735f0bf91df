"""Adding and revoking gateways, in the files and at the broker that runs."""

from collections.abc import Sequence

from connectors.kit.settings import Settings
from connectors.wire.pack import Status
from connectors.wire.topics import ROOT, gateway_topic, parse_gateway_topic
from connectors.wire.versions import WireError, from_json
from deploy.local.gate.gate import Gate
from deploy.local.gate.passwords import hashed, new_password
from deploy.local.gate.paths import GatePaths
from deploy.local.gate.registry import Gateway, checked_name, checked_topic
from deploy.local.gate.running import broker_pid, reload_broker
from deploy.local.gate.session import Session, throw_out
from deploy.local.layout import Layout


class Keeper:
    """The gateways of one stack.

    Parameters
    ----------
    settings
        Effective, with the listener that the broker was started with.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._layout = Layout(settings.stack.data)
        self.gate = Gate(GatePaths(settings.stack.data))

    @property
    def is_running(self) -> bool:
        """Whether a broker that asks for logins runs."""
        return bool(self._settings.stack.listen) and broker_pid(self._layout) is not None

    def add(self, site: str, name: str, publish: Sequence[str], now_ms: int) -> str:
        """Let a gateway in, and return its password, which is stored nowhere. Raises `GateError`."""
        checked_name("site", site)
        checked_name("gateway", name, [self._settings.bridge.client_id])
        topics = tuple(checked_topic(topic) for topic in dict.fromkeys(publish))
        password = new_password()
        with self.gate.changing() as change:
            change.store(change.registry.added(Gateway(site, name, now_ms, topics, hashed(password))))
        self._tell()
        return password

    def renew(self, site: str, name: str) -> str:
        """Give a gateway a new password and return it; the old one is good for nothing. Raises `GateError`."""
        password = new_password()
        with self.gate.changing() as change:
            change.store(change.registry.with_hash(site, name, hashed(password)))
        self._tell()
        return password

    def revoke(self, name: str) -> tuple[Gateway, int]:
        """Shut a gateway out; return it and how many retained messages of it were cleared. Raises `GateError`."""
        with self.gate.changing() as change:
            gone = change.registry.get(name)
            change.store(change.registry.without(name))
        return gone, self._forget(gone)

    def states(self) -> dict[tuple[str, str], Status]:
        """Return what each site's gateways last said of themselves; empty if no broker runs. Raises `GateError`."""
        if not self.is_running:
            return {}
        with Session(self._settings.mqtt) as session:
            found = session.retained([f"{ROOT}/+/+/status"])
        return dict(_states(found))

    def _tell(self) -> None:
        if self.is_running and reload_broker(self._layout):
            with Session(self._settings.mqtt):
                return  # it has read the files again

    def _forget(self, gone: Gateway) -> int:
        if not (self.is_running and reload_broker(self._layout)):
            return 0
        with Session(self._settings.mqtt) as session:
            throw_out(self._settings.mqtt, gone.name)
            topics = [topic for topic, _ in session.retained([gateway_topic(gone.site, gone.name, "#"), *gone.publish])]
            session.clear(topics)
        return len(topics)


def _states(found: Sequence[tuple[str, bytes]]) -> list[tuple[tuple[str, str], Status]]:
    states = []
    for topic, payload in found:
        place = parse_gateway_topic(topic)
        if place is None:
            continue
        try:
            states.append(((place.site, place.gateway), from_json(Status, payload)))
        except WireError:
            continue  # the bridge has made a dead letter of it
    return states
