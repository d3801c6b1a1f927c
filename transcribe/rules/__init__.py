"""The rules, one module a family. Importing this package registers them all."""

from transcribe.rules import (
    characters,
    jyutping,
    length,
    marks,
    numbers,
    punctuation,
    romanisation,
    scripts,
    spacing,
    speakers,
    syllables,
    verbatim,
    wording,
)

FAMILIES = (
    characters,
    scripts,
    verbatim,
    speakers,
    syllables,
    numbers,
    punctuation,
    marks,
    spacing,
    romanisation,
    jyutping,
    wording,
    length,
)
