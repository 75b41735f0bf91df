"""A Raspberry Pi that isn't there: recorded /sys trees and register dumps of tests/data/pi."""

import errno
import os
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "pi"
BOARD = DATA / "board"


def read_dump(name: str) -> bytearray:
    """Read registers in the form of i2cdump."""
    rows = (DATA / "i2c" / name).read_text().splitlines()[1:]
    return bytearray(int(byte, 16) for row in rows for byte in row.split(":")[1].split())


class DumpBus:
    """An I²C bus with sensors that hold still; counts what is asked of it."""

    def __init__(self, sensors: dict[int, bytearray]) -> None:
        self.sensors = sensors
        self.written: list[tuple[int, int, int]] = []
        self.closed = 0
        self.opened = 0

    def open(self, number: int) -> "DumpBus":
        if number != 1:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"/dev/i2c-{number}")
        self.opened += 1
        return self

    def _registers(self, address: int) -> bytearray:
        if address not in self.sensors:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        return self.sensors[address]

    def read_byte_data(self, i2c_addr: int, register: int) -> int:
        return self._registers(i2c_addr)[register]

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        registers = self._registers(i2c_addr)
        return registers[register] | registers[register + 1] << 8

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        return list(self._registers(i2c_addr)[register : register + length])

    def write_byte_data(self, i2c_addr: int, register: int, value: int) -> None:
        self._registers(i2c_addr)
        self.written.append((i2c_addr, register, value))

    def close(self) -> None:
        self.closed += 1


def bme280_bus(dump: str = "bme280-data-sheet.txt", address: int = 0x76) -> DumpBus:
    return DumpBus({address: read_dump(dump)})


def config_text(port: int, outbox: Path, gateway: str = "pi-1", more: str = "", period_s: float = 0.1) -> str:
    """Return a config with all sensors of the recorded board, against a broker on this machine."""
    return f"""
site = "site-1"
gateway = "{gateway}"
period_s = {period_s}
[mqtt]
host = "127.0.0.1"
port = {port}
tls = false
reconnect_min_s = 0.05
reconnect_max_s = 0.2
[outbox]
path = "{outbox}"
ledger = true
[clock]
trust = true
[[ds18b20]]
id = "28-000005e2fdc3"
device = "boiler"
[[ds18b20]]
id = "28-3c01d607cb43"
device = "freezer"
[[bme280]]
device = "room"
{more}"""
