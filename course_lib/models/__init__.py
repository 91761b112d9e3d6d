"""Networks: classifiers of log-mels, frame reducers, pretrained features, and a CRNN for scenes."""
