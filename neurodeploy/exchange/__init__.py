"""Network files: NIR (``nir/``), lava-dl's ``.net`` files (``netx/``), and checks of NIR files (``doctor/``).

``formats.py`` holds the table of file formats. Importing this package imports none of these modules.
"""
