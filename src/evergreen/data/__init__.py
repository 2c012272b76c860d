"""Data in: landing files, published batches, snapshots, declared joins."""
