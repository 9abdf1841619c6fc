"""The version, in one place: the distribution and ``neurodeploy --version`` read it here."""

__version__ = "0.1.0"
