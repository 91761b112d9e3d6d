"""Sound and its spectrogram: files, time, log-mel features, augmentation, and synthetic clips."""
