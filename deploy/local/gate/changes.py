"""Adding and revoking gateways, in the files and at the broker that runs."""

from collections.abc import Sequence

from connectors.kit.settings import Settings
from connectors.wire.pack import Status
from connectors.wire.topics import ROOT, gateway_topic, parse_gateway_topic
from connectors.wire.versions import WireError, from_json
from deploy.local.gate.error import GateError
from deploy.local.gate.gate import Gate
from deploy.local.gate.passwords import hashed, new_password
from deploy.local.gate.paths import GatePaths
from deploy.local.gate.registry import Gateway, checked_name, checked_topic
from deploy.local.gate.running import broker_pid
from deploy.local.gate.security import ADMIN_USER, Json, letting_in, shutting_out
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
            new = Gateway(site, name, now_ms, topics, hashed(password))
            change.store(change.registry.added(new))
            self._tell([*shutting_out(name), *letting_in(new, password)])
        return password

    def renew(self, site: str, name: str) -> str:
        """Give a gateway a new password and return it; the old one is good for nothing. Raises `GateError`."""
        password = new_password()
        with self.gate.changing() as change:
            change.store(change.registry.with_password(site, name, hashed(password)))
            self._tell([*shutting_out(name), *letting_in(change.registry.get(name), password)])
        return password

    def revoke(self, name: str) -> tuple[Gateway, int]:
        """Shut a gateway out; return it and how many retained messages of it were cleared. Raises `GateError`."""
        with self.gate.changing() as change:
            gone = change.registry.get(name)
            # Before: the broker doesn't show what somebody left retained who is no longer there.
            left = self._retained(gone)
            change.store(change.registry.without(name))
            self._tell(shutting_out(name))
            self._forget(gone, left)
        return gone, len(left)

    def states(self) -> dict[tuple[str, str], Status]:
        """Return what each site's gateways last said of themselves; empty if no broker runs. Raises `GateError`."""
        if not self.is_running:
            return {}
        with Session(self._settings.mqtt) as session:
            found = session.retained([f"{ROOT}/+/+/status"])
        return dict(_states(found))

    def _tell(self, commands: Sequence[Json]) -> None:
        """Have a running broker do what the files say already. That something to delete isn't there is no fault."""
        if not self.is_running:
            return
        paths = self.gate.paths
        admin = self._settings.mqtt.model_copy(update={"username": ADMIN_USER, "password_file": paths.admin_password})
        with Session(admin) as session:
            errors = session.control(commands)
        failed = [error for one, error in zip(commands, errors, strict=True) if error and "create" in one["command"]]
        if failed:
            raise GateError(f"the broker refused the change ({'; '.join(failed)}): tidemark down && tidemark up")

    def _retained(self, gateway: Gateway) -> list[str]:
        if not self.is_running:
            return []
        with Session(self._settings.mqtt) as session:
            found = session.retained([gateway_topic(gateway.site, gateway.name, "#"), *gateway.publish])
        return [topic for topic, _ in found]

    def _forget(self, gone: Gateway, left: Sequence[str]) -> None:
        """Clear what a gateway left at a running broker: its session, and its retained messages."""
        if not self.is_running:
            return
        throw_out(self._settings.mqtt, gone.name)
        with Session(self._settings.mqtt) as session:
            session.clear(left)


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
