"""SANA-FE: a mapped network written for that simulator, and a script that runs it there."""
