"""Reliability: the probability that the audio and the text of a pair belong together."""
