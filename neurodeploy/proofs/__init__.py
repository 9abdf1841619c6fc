"""Proofs that engines agree: activities compared, the first difference explained, the outcome with hashes."""
