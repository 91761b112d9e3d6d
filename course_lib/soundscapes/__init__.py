"""Scenes of several sounds with labels in time, and with pictures where there are any."""
