"""General MIDI: the 128 programs in their order, and the drum keys of channel 10."""

PROGRAMS = tuple(
    """acoustic grand piano|bright piano|electric grand piano|honky tonk piano|electric piano|chorused electric piano
harpsichord|clavinet|celesta|glockenspiel|music box|vibraphone|marimba|xylophone|tubular bells|dulcimer
drawbar organ|percussive organ|rock organ|church organ|reed organ|accordion|harmonica|tango accordion
nylon string guitar|steel string guitar|jazz guitar|clean electric guitar|muted electric guitar|overdriven guitar
distortion guitar|guitar harmonics|acoustic bass|fingered electric bass|picked electric bass|fretless bass|slap bass
slap bass 2|synth bass|synth bass 2|violin|viola|cello|contrabass|tremolo strings|pizzicato strings|harp|timpani
string ensemble|slow strings|synth strings|synth strings 2|choir aahs|voice oohs|synth voice|orchestra hit|trumpet
trombone|tuba|muted trumpet|french horn|brass section|synth brass|synth brass 2|soprano saxophone|alto saxophone
tenor saxophone|baritone saxophone|oboe|english horn|bassoon|clarinet|piccolo|flute|recorder|pan flute|blown bottle
shakuhachi|whistle|ocarina|square lead synth|sawtooth lead synth|calliope synth|chiff synth|charang synth|voice synth
fifths synth|bass and lead synth|new age pad|warm pad|polysynth pad|choir pad|bowed pad|metallic pad|halo pad|sweep pad
rain synth effect|soundtrack synth effect|crystal synth effect|atmosphere synth effect|brightness synth effect
goblins synth effect|echoes synth effect|science fiction synth effect|sitar|banjo|shamisen|koto|kalimba|bagpipe|fiddle
shanai|tinkle bell|agogo|steel drums|woodblock|taiko drum|melodic tom|synth drum|reverse cymbal|guitar fret noise
breath noise|seashore waves|bird tweet|telephone ring|helicopter|applause|gunshot""".replace("\n", "|").split("|")
)
DRUMS = dict(
    enumerate(
        """acoustic bass drum|bass drum|side stick|snare drum|hand clap|electric snare|low floor tom|closed hi hat
high floor tom|pedal hi hat|low tom|open hi hat|low mid tom|high mid tom|crash cymbal|high tom|ride cymbal
chinese cymbal|ride bell|tambourine|splash cymbal|cowbell|crash cymbal two|vibraslap|ride cymbal two|high bongo
low bongo|mute high conga|open high conga|low conga|high timbale|low timbale|high agogo|low agogo|cabasa|maracas
short whistle|long whistle|short guiro|long guiro|claves|high wood block|low wood block|mute cuica|open cuica
mute triangle|open triangle""".replace("\n", "|").split("|"),
        start=35,
    )
)
