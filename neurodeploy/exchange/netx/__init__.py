"""lava-dl's ``.net`` files (HDF5) to and from a ``Network``."""
