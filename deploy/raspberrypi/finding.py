"""What `tidemark-pi check` says of one thing."""

from typing import Literal

import msgspec

Verdict = Literal["ok", "warning", "wrong", "unreachable"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at, and its mend if it needs one."""

    what: str
    verdict: Verdict
    detail: str
    mend: str = ""
