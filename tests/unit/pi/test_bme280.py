"""BME280: Bosch's worked example, a real module's registers, and chips that should not be believed."""

import errno

import pytest

from deploy.raspberrypi.bme280 import Bme280, find_bme280
from deploy.raspberrypi.sensor import Fault, Value
from tests.support.pi_board import DumpBus, bme280_bus, read_dump


def read(bus: DumpBus, number: int = 1, address: int = 0x76) -> dict[str, float | str]:
    found = Bme280(bus.open, number, address, "room").read()
    return {one.quantity: one.value if isinstance(one, Value) else one.reason for one in found}


def test_the_data_sheets_example() -> None:
    found = read(bme280_bus())
    assert found["temperature"] == 25.08
    assert found["pressure"] == pytest.approx(100_653.27, abs=0.1)
    assert found["humidity"] == pytest.approx(54.25, abs=0.01)


def test_a_real_modules_registers() -> None:
    found = read(bme280_bus("bme280-module.txt"))
    assert found == {
        "temperature": 24.44,
        "humidity": pytest.approx(54.17, abs=0.01),
        "pressure": pytest.approx(99621, abs=1),
    }


def test_it_is_told_to_measure_before_it_is_read() -> None:
    bus = bme280_bus()
    read(bus)
    # Humidity's setting takes effect with the write to ctrl_meas, so it comes first; mode 1 is a single measurement.
    assert [register for _, register, _ in bus.written] == [0xF2, 0xF4]
    assert bus.written[1][2] & 0b11 == 1


@pytest.mark.parametrize(("dump", "reason"), [("bmp280.txt", "wrong-chip"), ("bme280-after-reset.txt", "not-ready")])
def test_what_was_not_measured_is_not_made_up(dump: str, reason: str) -> None:
    assert read(bme280_bus(dump)) == dict.fromkeys(("temperature", "humidity", "pressure"), reason)


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_bus_that_is_stuck_is_no_sensor(level: int) -> None:
    assert set(read(DumpBus({0x76: bytearray([level]) * 256})).values()) == {"wrong-chip"}


def test_a_calibration_that_makes_no_sense_gives_no_pressure() -> None:
    registers = read_dump("bme280-data-sheet.txt")
    registers[0x8E:0x90] = b"\x00\x00"
    found = read(DumpBus({0x76: registers}))
    assert (found["temperature"], found["pressure"]) == (25.08, "out-of-range")


def test_no_sensor_and_no_bus() -> None:
    assert set(read(DumpBus({})).values()) == {"gone"}
    assert set(read(bme280_bus(), number=7).values()) == {"no-bus"}


def test_no_right_to_the_bus() -> None:
    def refuse(number: int) -> DumpBus:
        raise PermissionError(errno.EACCES, "Permission denied")

    (found, *_) = Bme280(refuse, 1, 0x76, "room").read()
    assert isinstance(found, Fault)
    assert found.reason == "not-allowed"


def test_another_sensor_in_its_place_has_its_own_calibration() -> None:
    bus = bme280_bus()
    sensor = Bme280(bus.open, 1, 0x76, "room")
    assert sensor.read()[0] == Value("temperature", 25.08)
    removed, bus.sensors = bus.sensors, {}
    assert isinstance(sensor.read()[0], Fault)
    assert bus.closed == 1
    bus.sensors = {0x76: read_dump("bme280-module.txt")}
    assert sensor.read()[0] == Value("temperature", 24.44)
    assert bus.opened == 2
    assert removed


def test_a_byte_beyond_127_in_dig_h3_is_not_negative() -> None:
    registers = read_dump("bme280-data-sheet.txt")
    # Data sheet, table 16: unsigned. At 25.08 °C (t_fine 128422) H3 = 200 makes a factor of 1.154, −56 one of 0.957.
    registers[0xE3] = 200
    dry = read(bme280_bus())["humidity"]
    assert isinstance(dry, float)
    assert float(read(DumpBus({0x76: registers}))["humidity"]) > dry


def test_sensors_are_found() -> None:
    assert find_bme280(bme280_bus(address=0x77).open, 1) == [0x77]
    assert find_bme280(bme280_bus("bmp280.txt").open, 1) == []
    assert find_bme280(bme280_bus().open, 5) == []
