"""Scores and their intervals: accuracy, tagging, detection of events, PSDS, separability of embeddings."""
