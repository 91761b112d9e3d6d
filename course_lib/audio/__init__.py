"""Sound and its spectrogram: files, time, log-mel features, augmentation, and the clips that the course makes."""
