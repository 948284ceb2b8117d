"""The commands, one file each; `cli.command_table` lists them."""
