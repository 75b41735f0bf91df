"""Exit codes, and which error ends the command with which."""

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class CommandFailed(Exception):
    """The command can't do what was asked; the message says why and what to do next."""


_EXPECTED = {
    "deploy.command.exits.CommandFailed": EXIT_FAILURE,
    "deploy.local.stack.StackError": EXIT_FAILURE,
    "deploy.local.gate.error.GateError": EXIT_FAILURE,
    "deploy.local.flink.distribution.FlinkMissing": EXIT_FAILURE,
    "deploy.local.flink.rest.ClusterRefused": EXIT_FAILURE,
    "deploy.local.flink.rest.ClusterUnreachable": EXIT_UNREACHABLE,
    "deploy.local.flink.submit.SubmitFailed": EXIT_FAILURE,
    "deploy.records.record.RecordsError": EXIT_FAILURE,
    "connectors.kit.settings.SettingsError": EXIT_USAGE,
    "connectors.mapping.load.MappingError": EXIT_USAGE,
    "connectors.rules.load.RulesError": EXIT_USAGE,
    "connectors.kit.service.Unreachable": EXIT_UNREACHABLE,
}
"""By name, so that the command's start need not import what most commands don't use."""


def exit_code(error: Exception) -> int | None:
    """Return the exit code of an error meant for the user; None for a fault of ours, which shows its traceback."""
    for kind in type(error).__mro__:
        code = _EXPECTED.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code
    return None
