"""Reading and writing of files: atomic writing, TOML, checked records, shipped files, progress, functions by name."""
