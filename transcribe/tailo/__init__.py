"""Tâi-lô and Pe̍h-ōe-jī, the two romanisations of Taiwanese Hokkien: reading, checking and writing.

Needs nothing of the rules or of a corpus. A syllable is an onset, a final and a tone. `parse` reads
one that is written as Tâi-lô prescribes; `read` also accepts what people type instead (tone
numbers, POJ letters, a raised n as a capital, a mark on the wrong letter) and says so, code by
code; `convert` rewrites whole texts. Every form is written from the same value, so whatever was
read can be written again without loss.

>>> parse("tshit").numbered()
'tshit4'
>>> read("chhiáⁿ").syllable.marked()
'tshiánn'
>>> parse("tsiáh") is None  # a stop final has tone four or eight
True
>>> convert("Gua2 beh4 khi3 Tai5-uan5.")
'Guá beh khì Tâi-uân.'
"""

from transcribe.tailo.conversion import convert
from transcribe.tailo.syllable import (
    DIALECT_FINALS,
    FINALS,
    GENERAL_FINALS,
    MARKS,
    ONSETS,
    Syllable,
)
from transcribe.tailo.typed import VERTICAL_LINE, Reading, parse, read

__all__ = [
    "DIALECT_FINALS",
    "FINALS",
    "GENERAL_FINALS",
    "MARKS",
    "ONSETS",
    "VERTICAL_LINE",
    "Reading",
    "Syllable",
    "convert",
    "parse",
    "read",
]
