"""A training step over stored connections beside the same step with dense arrays, and with other frameworks."""
