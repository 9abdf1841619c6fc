"""Networks in and out: NIR and lava-dl files."""
