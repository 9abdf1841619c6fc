"""Files: written whole or not at all, TOML in and out, checked records, what came with the package, progress of reading."""
