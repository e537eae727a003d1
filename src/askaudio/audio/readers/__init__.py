"""Readers of audio files: libsndfile, PyAV and the ffmpeg program, tried in this order."""
