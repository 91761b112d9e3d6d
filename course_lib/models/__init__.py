"""Classifiers of log-mels `(clips, frames, mels)`, and what may stand before them."""
