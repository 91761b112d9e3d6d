"""Polyphonic scenes: several sounds in a clip, labels in time, images beside them, and aligned features."""
