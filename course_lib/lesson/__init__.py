"""What a notebook calls: figures, sounds, records, checks of exercises, a look at the machine."""
