"""Bytes for people."""

WIDTH = 16


def hexdump(data: bytes, limit: int | None = None) -> list[str]:
    r"""Return lines of offset, bytes in hexadecimal, and what of them is ASCII.

    Parameters
    ----------
    limit
        Bytes shown, at most; a last line says how many there are more.

    >>> hexdump(b"tide\x00\xff")
    ['00000000  74 69 64 65 00 ff                                 |tide..|']
    """
    shown = data if limit is None else data[:limit]
    found = [_line(at, shown[at : at + WIDTH]) for at in range(0, len(shown), WIDTH)]
    left = len(data) - len(shown)
    return [*found, f"… {left} bytes more"] if left else found


def _line(at: int, row: bytes) -> str:
    halves = "  ".join(row[start : start + 8].hex(" ") for start in (0, 8) if row[start : start + 8])
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{at:08x}  {halves:<48}  |{text}|"
