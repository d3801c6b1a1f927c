"""English number words."""

from __future__ import annotations

LONGEST = 9  # digits of a number whose value is read
_HUNDRED, _TENS = 100, 10

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS_NAMES = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
NUMBERS = frozenset([*ONES, *_TENS_NAMES[2:], "hundred", "thousand", "million", "billion", "half"])
_AFTER_TENS = ("", *(f"-{each}" for each in ONES[1:10]))
SMALL = (*ONES, *(ten + one for ten in _TENS_NAMES[2:] for one in _AFTER_TENS))  # below one hundred


def value(number: int) -> str:
    """A number below a thousand million in words."""
    if number < len(ONES):
        return ONES[number]
    if number < _HUNDRED:
        tens, ones = divmod(number, _TENS)
        return _TENS_NAMES[tens] + (f"-{ONES[ones]}" if ones else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (_HUNDRED, "hundred")):
        if number >= size:
            most, rest = divmod(number, size)
            return f"{value(most)} {name}" + (f" {value(rest)}" if rest else "")
    raise ValueError(number)


def years(number: str) -> tuple[str, ...]:
    """Four digits as two pairs, the way years are said."""
    if len(number) != 4 or not 1100 <= int(number) < 2100 or number[1:3] == "00":
        return ()
    first, last = divmod(int(number), _HUNDRED)
    if last < _TENS:
        return (f"{value(first)} " + (f"oh {ONES[last]}" if last else "hundred"),)
    return (f"{value(first)} {value(last)}",)


def ordinal(number: str) -> str:
    """``third`` for 3; empty for numbers that are too long."""
    words = value(int(number)) if len(number) <= LONGEST else ""
    head, mark, last = words.rpartition("-" if "-" in words.split(" ")[-1] else " ")
    if last.endswith("y"):
        return f"{head}{mark}{last[:-1]}ieth"
    return f"{head}{mark}{_ORDINALS.get(last, last + 'th')}" if last else ""


def decade(number: str) -> str:
    """``nineteen nineties`` for 1990; empty where the number is no decade."""
    if len(number) not in (2, 4) or number[-1] != "0" or number[-2] in "01":
        return ""
    century = f"{value(int(number[:2]))} " if len(number) == 4 else ""
    return f"{century}{_TENS_NAMES[int(number[-2])][:-1]}ies"
