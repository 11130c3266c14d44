"""Recorded generations: what a generation computes is recorded once, and replayed for further batches.

A component does not know that it is recorded.
"""
