"""Network files: NIR (``nir/``), our own (``nd5/``), lava-dl's ``.net`` files (``netx/``), and checks of them (``doctor/``).

``formats.py`` holds the table of file formats. Importing this package imports none of these modules.
"""
