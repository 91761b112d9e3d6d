"""Data sets: labelled clips with fold, source recording and, where they exist, strong labels."""
