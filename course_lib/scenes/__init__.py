"""Polyphonic scenes: several sounds per clip, strong labels, video frames, and features as streams."""
