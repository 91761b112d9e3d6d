"""Labelled clips: loading, folds, manifests, downloads, augmented copies, event lists and the cache."""
