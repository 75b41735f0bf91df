"""What a person sees while the demo runs: a live panel on a terminal, plain lines elsewhere. All of it on stderr."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from connectors.wire.alert import AlertEvent
from deploy.demo.plan import Plan
from deploy.demo.progress import Progress, Snapshot, rate
from deploy.demo.recordings import MACHINE

_LINE_EVERY_S = 10.0
_COLORS = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold red", "cleared": "green"}


def when(plan: Plan, gateway: str, time_ms: int) -> str:
    """Return an event time for people, on the dates of the gateway's recording where it replays one."""
    moment = datetime.fromtimestamp(plan.original_ms(gateway, time_ms) / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M")


def alert_words(plan: Plan, event: AlertEvent) -> str:
    """Return one line about an alert event."""
    where = "/".join(part for part in (event.gateway, event.device, event.quantity) if part) or "system"
    value = "" if event.value is None else f"  {event.value:.4g} {event.unit}".rstrip()
    return (
        f"{when(plan, event.gateway, event.window_start_ms)}  {event.transition:<11} {event.rule_id} on {where}{value}"
    )


def flow_words(now: Snapshot, before: Snapshot) -> str:
    """Return one line about the flow."""
    return (
        f"sent {now.sent:,} ({rate(now, before, 'sent'):,.0f}/s)  in Kafka {now.acknowledged:,}  "
        f"judged {now.judged:,} ({rate(now, before, 'judged'):,.0f}/s)  lag {now.lag_s:.1f} s  alerts {now.raised:,}"
    )


class View(Protocol):
    """Shows the run until it is closed."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the terminal as it was."""
        ...

    def say(self, words: str) -> None:
        """Show a step; from any thread."""
        ...

    def tick(self) -> None:
        """Show how things stand; called a few times a second."""
        ...


class PlainView:
    """Lines, for logs and pipes."""

    def __init__(self, plan: Plan, progress: Progress, write: Callable[[str], None]) -> None:
        self._plan = plan
        self._progress = progress
        self._write = write
        self._began = time.monotonic()
        self._next = self._began + _LINE_EVERY_S

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End."""

    def say(self, words: str) -> None:
        """Write a line."""
        self._write(f"{time.monotonic() - self._began:6.1f} s  {words}")

    def tick(self) -> None:
        """Write a line now and then."""
        now, before = self._progress.look()
        if now.at_s >= self._next:
            self._next = now.at_s + _LINE_EVERY_S
            moment = when(self._plan, MACHINE.gateway, now.event_ms) if now.event_ms else self._progress.stage
            self.say(f"{moment}  {flow_words(now, before)}")


class LiveView:
    """A panel that renews itself, with rich."""

    def __init__(self, plan: Plan, progress: Progress, console: Any) -> None:
        from rich.live import Live

        self._plan = plan
        self._progress = progress
        self._console = console
        self._began = time.monotonic()
        self._live: Any = Live(self._panel(), console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the panel away."""
        self._live.stop()

    def say(self, words: str) -> None:
        """Write a line above the panel."""
        from rich.text import Text

        self._console.print(Text(f"{time.monotonic() - self._began:6.1f} s  {words}", style="dim"))

    def tick(self) -> None:
        """Renew the panel."""
        self._live.update(self._panel(), refresh=True)

    def _panel(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel

        now, before = self._progress.look()
        parts = [self._bar(now), self._flow(now, before), self._recent()]
        return Panel(Group(*parts), title=f"Tidemark · {self._progress.stage}", border_style="blue", padding=(1, 2))

    def _bar(self, now: Snapshot) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        span = self._plan.end_ms - self._plan.start_ms
        done = min(max(now.event_ms - self._plan.start_ms, 0), span) if now.event_ms else 0
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        moment = when(self._plan, MACHINE.gateway, self._plan.start_ms + done)
        row.add_row(f"[bold]{moment}[/]", ProgressBar(total=span, completed=done))
        return row

    def _flow(self, now: Snapshot, before: Snapshot) -> Any:
        from rich.table import Table

        table = Table.grid(padding=(0, 3))
        table.add_row("", "")
        rows = (
            ("sent by gateways", now.sent, "sent"),
            ("acknowledged, in Kafka", now.acknowledged, "acknowledged"),
            ("judged in windows", now.judged, "judged"),
        )
        for words, count, name in rows:
            table.add_row(words, f"[bold]{count:>12,}[/]", f"{rate(now, before, name):>9,.0f} /s")
        table.add_row("watermark's lag", f"{now.lag_s:>10.1f} s", "")
        table.add_row("alerts", f"[bold]{now.raised:>12,}[/]", f"{now.active:>9,} active")
        return table

    def _recent(self) -> Any:
        from rich.text import Text

        lines = Text("\n")
        for event in self._progress.alerts(8):
            color = _COLORS["cleared" if event.transition == "cleared" else event.severity]
            lines.append(alert_words(self._plan, event) + "\n", style=color)
        return lines


def make_view(plan: Plan, progress: Progress) -> View:
    """Return the live view on a terminal, the plain one elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        return LiveView(plan, progress, console)
    return PlainView(plan, progress, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
