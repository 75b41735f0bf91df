"""The `tidemark` command, one group of subcommands a file."""
