"""`tidemark doctor`: what is missing or wrong, and its mend."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.command.exits import EXIT_FAILURE, EXIT_OK

if TYPE_CHECKING:
    from deploy.local.diagnosis import Finding

MARKS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", rich_help_panel="Looking")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of text.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the stack; else stack.data.")] = None,
) -> None:
    """Find what is missing or wrong and say the mend. Exit code 1 if anything is wrong; a warning is not."""
    findings = _findings(data)
    if as_json:
        import msgspec

        print(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            print(f"{MARKS[finding.verdict]}  {finding.what}: {finding.detail}")
            if finding.mend:
                print(f"         → {finding.mend}")
    wrong = any(finding.verdict == "wrong" for finding in findings)
    raise typer.Exit(EXIT_FAILURE if wrong else EXIT_OK)


def _findings(data: Path | None) -> "list[Finding]":
    """Examine the machine; settings that can't be used are a finding, and the defaults stand in for them."""
    from connectors.kit.settings import Settings, SettingsError, load_settings
    from deploy.local.diagnosis import Finding, examine
    from deploy.local.gate.running import as_started
    from deploy.local.stack import Stack

    try:
        settings, problems = load_settings(), []
    except SettingsError as error:
        settings = Settings.model_construct()
        problems = [Finding("settings", "wrong", str(error), "correct the settings file or the environment")]
    folder = data or settings.stack.data
    found = examine(Stack(as_started(settings, folder), folder))
    return problems + [finding for finding in found if not (problems and finding.what == "settings")]
