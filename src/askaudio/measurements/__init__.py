"""Measured facts of a recording: loudness, peak, silence, brightness, pitch, onsets and tempo.

    meter.py          takes the samples of one recording block by block and returns the facts
    k_weighting.py    the filter of ITU-R BS.1770, as products of matrices
    loudness.py       integrated loudness and share of silence, from energies of 10 ms
    spectrum.py       brightness, from sampled frames
    pitch.py          fundamental frequency, from sampled frames
    rhythm.py         onsets and tempo, from the same energies as the loudness

All of it is computed in the pass over the samples that indexing makes anyway, in numpy. Cost: 0.7 ms for a second of
stereo at 48 kHz on one core.
"""
