"""Proofs that engines agree: comparison of activities, explanation of the first difference, and a record with hashes."""
