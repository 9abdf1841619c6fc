"""Networks in and out of files, and verdicts on them.

NIR: ``nir/``; lava-dl's ``.net`` files: ``netx/``; what a NIR file holds, what differs, a drawing: ``doctor/``; which
kinds of files there are: ``formats.py``. Importing this package imports none of them.
"""
