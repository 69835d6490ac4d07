"""The `netspec` command: one thin module a subcommand, imported when it is called."""
