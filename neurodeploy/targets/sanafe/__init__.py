"""The target SANA-FE: writes a mapped network for this simulator, with a script that runs it there."""
