"""Words of captions: verbs and sources of sound, groups of words that may describe one sound, opposites, numbers.

The tables are small and made by hand. They serve rules that must be right rather than complete: a word that is in no
table takes part in no rule.
"""

from __future__ import annotations

import re

from askaudio.index.stems import stem


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


VERBS = _set(
    "accelerate announce applaud approach babble bang bark beat beep begin bellow bite blare blast bleat "
    "bleep blow boil boom bounce breathe brush bubble bump burble burn burp burst buzz cackle call "
    "cascade caw change chant chat chatter cheep cheer chime chirp chop chuckle chug churn circle clack "
    "clang clank clap clatter clean click cling clink clip close cluck collapse come communicate continue "
    "converse coo cough crack crackle crank crash creak crinkle croak crow crumple crunch cry cut "
    "decelerate depart descend die dig discuss drag drain dribble drill drip drive drone drop eat echo "
    "empty end exhale explode fade fall fart fill fire flap flow flush fly follow fry gallop gargle gasp "
    "giggle go grind groan grow growl grunt gurgle gush gust hammer hiccup hiss hit hoot holler honk howl "
    "hum idle increase inhale jangle jingle jump kick knock land laugh leave make meow mix moan moo move "
    "mumble murmur mutter narrate neigh occur oink open operate pant pass patter pause peep play plop pop "
    "pound pour pull pulse purr push quack race rain rap rasp rattle recede reply respond resonate return "
    "rev reverberate ring rip roar rock roll rotate rub rumble run rush rustle saw say scrape scratch "
    "scream screech sew shake shatter shoot shout shriek shuffle shut sigh sing sizzle skid slam slap "
    "slide slosh slow smack snap sneeze snicker sniff sniffle snore snort sob sound speak speed spin "
    "splash splatter spray sputter squawk squeak squeal start step stir stomp stop strike strum stutter "
    "sweep swing swish swoosh take talk tap tear thud thump thunder tick ting tinkle toll toot travel "
    "trickle trot try turn tweet type vibrate vocalize wail walk warble wash weep wheeze whimper whine "
    "whinny whip whir whirl whisper whistle whoop whoosh work yap yell yelp yip zip zoom"
)
SOURCES = _set(
    "adult airplane aircraft alarm ambulance animal audience axe baby ball bee bell bird blender boat "
    "bomb bottle boy bus camera car cart cat chain chainsaw chair chicken child chime clock cow cricket "
    "crow cuckoo cup dog donkey door dove drawer drill drum duck elephant engine explosion faucet "
    "firecracker firework fly foghorn fountain frog generator girl glass goat gong goose grinder guitar "
    "gun gunshot guy hammer hawk helicopter hen horn horse infant insect jackhammer jet kettle key "
    "keyboard kid kitten knife lady lamb lawnmower lion machine man microwave monkey mosquito motor "
    "motorbike motorboat motorcycle mower object owl parrot person phone piano pig pigeon pipe plane "
    "plate printer pump puppy radio rooster saw seagull sheep ship sink siren snake speaker speedboat "
    "spoon telephone tool toilet toy tractor trailer train tram truck trumpet turkey typewriter vehicle "
    "violin voice whistle window wolf woman woodpecker"
)
IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "goose": "geese", "sheep": "sheep",
    "aircraft": "aircraft", "knife": "knives", "wolf": "wolves", "mouse": "mice", "foot": "feet",
}  # fmt: skip

# Words that may describe one and the same sound, a general word beside special ones: what one text says with a word
# of a group another may say with another word of it.
_KIN = """
human man woman person people someone somebody adult child kid boy girl lady guy baby infant toddler male female crowd
  audience speaker announcer narrator human individual group speech voice talk speak conversation he she they
speech speak talk speech voice say conversation converse chat chatter murmur mutter mumble discuss announce announcement
  narrate lecture communicate whisper shout yell scream holler sing chant dialogue babble speaker reporter interview
laughter laugh giggle chuckle laughter cackle snicker
crying cry sob weep whimper wail whine moan scream shriek yelp howl
breath breathe breath inhale exhale sigh pant gasp snore wheeze sniff sniffle
crowd crowd audience people cheer applaud applause clap children kid chant group team shout laugh conversation
steps walk step footstep run foot stomp shoe trot gallop hoof clop march hike gravel snow
water water stream river rain splash flow pour drip trickle liquid gurgle faucet tap sink wave ocean sea fountain
  waterfall shower toilet flush drain bubble spray bath creek brook beach shore storm swim raindrop rainfall puddle
wind wind breeze blow gust air rustle leaf microphone storm windy
thunder thunder thunderstorm storm lightning boom rumble explosion rain
fire fire crackle burn campfire flame pop
vehicle car vehicle truck engine motor bus motorcycle motorbike automobile traffic rev idle accelerate drive race road
  tractor highway street van lorry moped scooter machine brake tire skid
aircraft helicopter airplane plane aircraft jet propeller engine fly overhead motor
train train railroad rail track subway locomotive tram railway chug engine horn whistle
boat boat motorboat speedboat ship engine motor vessel
bird bird chirp tweet pigeon coo duck quack rooster crow owl hoot seagull goose chicken cluck parrot sparrow songbird
  dove hen turkey caw cuckoo robin squawk peep cheep birdsong whistle sing animal honk
dog dog puppy bark growl whimper howl pant yip yelp animal wolf canine
cat cat kitten meow purr hiss caterwaul animal yowl growl
hoof horse neigh trot gallop hoof clop whinny donkey animal snort
livestock cow moo sheep goat bleat baa lamb pig oink animal grunt snort farm
frog frog croak toad animal cricket insect
insect insect bee buzz fly mosquito cricket cicada wasp bug chirp grasshopper locust
animal animal creature dog cat bird horse cow sheep goat pig frog duck wolf lion monkey growl roar
music music song instrument guitar piano drum flute violin melody tune play orchestra band synthesizer musical
  keyboard organ harp accordion chord trumpet radio bass beat rhythm harmonica note sing bell
bell bell chime ring ding toll clock phone telephone gong jingle alarm doorbell church tinkle
alarm siren emergency ambulance police alarm horn honk beep tone buzzer fire whistle blare toot
clock clock tick tock ticktock timer watch
impact bang thump knock hit tap clank clang clatter thud slam crash bump click clack strike pound hammer beat clap snap
  drop rattle smack slap door cluck pop
friction scrape rub scratch rustle crinkle crumple shuffle squeak creak scuff paper sandpaper sweep brush squeal screech
  crunch plastic wrapper
blast explosion gun gunshot gunfire shot shoot blast firework bang boom fire firecracker cannon machinegun explode bomb
tool drill saw machine motor engine hum buzz whir mechanical tool fan vacuum blender sew power chainsaw grinder
  sander mower lawnmower machinery generator pump hammer jackhammer industrial factory appliance dryer drone sewing
door door open close slam shut gate drawer cabinet cupboard lock unlock latch creak
food eat chew fry sizzle cook food bite crunch boil dish cutlery plate pan
dish dish plate glass cutlery cup bowl pan metal fork spoon silverware clink clatter pot
typing type keyboard click computer key mouse typewriter tap
hiss hiss steam spray air static sizzle gas leak aerosol
"""
_GENERIC = (
    "noise sound something object thing background hum static hiss silence buzz rumble ambient ambience activity effect"
)
_AMBIENT = (
    "wind breeze hum static rumble rustle noise traffic hiss rain insect cricket air music crowd people water wave "
    "machine engine motor bird blow flow run fall chirp idle"
)
GENERIC = frozenset(map(stem, _GENERIC.split()))
"""Stems of words that fit nearly any recording."""
AMBIENT = frozenset(map(stem, _AMBIENT.split()))
"""Stems of sounds that last, and that a caption often leaves out."""


def _kin() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    lines = _KIN.strip().replace("\n  ", " ").splitlines()
    for name, *words in (line.split() for line in lines):
        for word in words:
            found.setdefault(stem(word), set()).add(name)
    return {word: frozenset(groups) for word, groups in found.items()}


KIN = _kin()
"""Stem -> names of the groups of sounds that it may describe."""

# Opposites, and below them those of which people often disagree which one fits.
_OPPOSITES = (
    "loud quiet, loudly quietly, louder quieter, noisy quiet, noisily quietly, faint loud, faintly loudly, "
    "high-pitched low-pitched, higher-pitched lower-pitched, high-pitch low-pitch, shrill deep, fast slow, faster "
    "slower, quick slow, quickly slowly, rapid slow, rapidly slowly, speeding slowing, accelerating decelerating, "
    "accelerates decelerates, distant nearby, closer farther, approaching receding, approaches recedes, man "
    "woman, men women, male female, males females, boy girl, boys girls, adult child, adults children, heavily "
    "lightly, continuous intermittent, continuously intermittently, constant intermittent, constantly "
    "intermittently, ascending descending, increasing decreasing, increases decreases, background foreground"
)
_WEAK = (
    "big small, large small, huge tiny, heavy light, soft hard, softly harshly, gently roughly, high low, higher "
    "lower, long short, old young, dry wet, smooth rough, happy sad, strong weak, clear muffled, bright dull, "
    "steady unsteady, calm agitated, near far, deep high, metal wood, metallic wooden, indoors outdoors, indoor "
    "outdoor, inside outside, opens closes, opening closing, opened closed"
)


def _opposites() -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for text, weak in ((_OPPOSITES, False), (_WEAK, True)):
        for pair in text.split(", "):  # of two pairs that share a word the earlier one counts
            a, b = pair.split()
            found.setdefault(a, (b, weak))
            found.setdefault(b, (a, weak))
    return found


OPPOSITES = _opposites()
"""Word -> (its opposite, whether people often disagree which of the two fits)."""
# Phrases in which such a word has another sense: "light switch", "high school". "*" stands for the word.
OTHER_SENSES = (
    "light switch, light bulb, light aircraft, street light, light rail, traffic light, high school, high heel, "
    "high heels, high way, high speed, high five, high frequency, high power, high pressure, high quality, hard "
    "drive, hard surface, hard object, hard floor, hard wood, hard ground, hard hat, soft drink, heavy machinery, "
    "heavy equipment, heavy machine, heavy duty, heavy metal, short wave, old fashioned, fast food, fast forward, "
    "young man, big band, low frequency, long distance, short distance, at large, as long, no longer, so long, "
    "inside out, inside of, outside of, the inside, the outside, open and, clear throat, deep breath, dry leaves, "
    "dry hair, near by, background music, wind instrument, metal detector, baby boy, baby girl, cow boy, man "
    "made, by far, so far, far off, too far, is near, comes near, gets near, adult male, adult female, adult man, "
    "adult woman, adult males, adult females, constant speed, constant rate, constant pace, constant volume, "
    "followed quickly, followed closely, background noise, background noises, background sounds, man and, long "
    "time, as fast, very end, child like"
)
OTHER_SENSE = frozenset(tuple(pair.split()) for pair in OTHER_SENSES.split(", "))
OTHER_PRONOUN = {
    "man": {"he": "she", "his": "her", "him": "her", "himself": "herself"},
    "woman": {"she": "he", "her": "his", "herself": "himself"},
}  # fmt: skip
UNCOUNTED = _set(
    "keyboard sink chair toilet microwave object camera kettle key cart trailer glass bottle cup tool "
    "machine saw pump pipe radio plate printer chain drawer toy mower lawnmower"
)
"""Sources of which nobody counts how many sound."""
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TIMES = {"once": 1, "twice": 2, "thrice": 3}

# Sounds of kinds that are told apart easily: (noun, verb), and words that take each other's place.
CALLS = (
    "dog bark, cat meow, cow moo, sheep bleat, duck quack, rooster crow, horse neigh, frog croak, pig oink, owl hoot, "
    "pigeon coo, bee buzz, snake hiss, wolf howl, lion roar, bird chirp"
)
CALL_OF = {noun: verb for noun, verb in (pair.split() for pair in CALLS.split(", "))}
VOICES = ("speak", "talk", "sing", "laugh", "cough", "sneeze", "snore", "whistle", "burp", "scream", "whisper")
EXCHANGEABLE = (
    ("train", "helicopter", "motorcycle", "airplane", "horse", "bicycle"),
    ("piano", "guitar", "violin", "trumpet", "flute", "drum", "harmonica", "accordion"),
    ("hammer", "drill", "saw", "vacuum cleaner", "sewing machine", "hair dryer"),
    ("siren", "church bell", "telephone", "alarm clock", "car horn", "doorbell"),
)


def plural(noun: str) -> str:
    """Plural of a noun: "dog" -> "dogs"; also the form of a verb beside "it": "pass" -> "passes"."""
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def gerund(verb: str) -> str:
    """The -ing form of a verb: "bark" -> "barking", "cut" -> "cutting", "race" -> "racing"."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    doubled = re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", verb) and not verb.endswith("k")
    return verb + (verb[-1] if doubled else "") + "ing"


THIRD_PERSON = {plural(verb) if verb not in ("go",) else "goes": verb for verb in VERBS}
"""Form beside "it" -> verb."""
GERUNDS = {gerund(verb): verb for verb in VERBS}
"""-ing form -> verb."""
SINGULAR = {plural(noun): noun for noun in SOURCES}
"""Plural -> noun."""
