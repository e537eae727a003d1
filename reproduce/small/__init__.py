"""Scripts that make the weights of the encoders ``small`` and ``efficientat``, in the order of their stages.

1. Data: ``gather``, ``corpus``, ``held_out``, ``held_out_mixtures``, ``audio_features``.
2. Audio tower: ``audio_tower`` distils it from the teacher.
3. Text tower: ``text_corpus`` collects texts, ``text_tower`` distils it.
4. Alignment: ``paired_mixtures``, ``alignment`` trains the projections of both sides.
5. Fine-tuning: ``audio_fine_tuning`` and ``audio_head`` fit the audio side to the alignment.
6. Release: ``package_weights`` writes the files that the package ships, ``evaluate`` measures them.

Modules without a command: ``mixing`` (mixtures of spectrograms), ``teacher``, ``shipped_weights`` (shipped files as
torch modules), ``gathering`` (sources of sounds).
"""
