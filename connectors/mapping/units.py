"""Units as devices write them, in the spelling of SenML's registries (RFC 8428 and RFC 8798)."""

_SPELLINGS = {
    "°C": "Cel",
    "℃": "Cel",
    "degC": "Cel",
    "deg C": "Cel",
    "celsius": "Cel",
    "Celsius": "Cel",
    "%RH": "%RH",
    "%rH": "%RH",
    "rh": "%RH",
    "Kelvin": "K",
    "kelvin": "K",
    "percent": "%",
    "mbar": "hPa",
    "Volt": "V",
    "volt": "V",
    "Volts": "V",
    "Ampere": "A",
    "Amp": "A",
    "Watt": "W",
    "watt": "W",
    "Watts": "W",
    "kWH": "kWh",
    "kwh": "kWh",
    "lux": "lx",
    "Lux": "lx",
    "µg/m³": "ug/m3",
    "μg/m³": "ug/m3",
    "µg/m3": "ug/m3",
    "m³": "m3",
    "m³/h": "m3/h",
    "m/s²": "m/s2",
    "L/min": "l/min",
    "rpm": "1/min",
    "bpm": "beat/min",
}
"""Other spellings of what means the same; "C" and "F" are not here, because they are coulomb and farad."""


def registered(unit: str) -> str:
    """Return a unit in the registry's spelling where it is known, else as it is.

    >>> registered("°C"), registered("furlong")
    ('Cel', 'furlong')
    """
    unit = unit.strip()
    return _SPELLINGS.get(unit, unit)
