"""Tables of pass, fix and refuse: each case says what must come back and which codes must speak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from transcribe import lint

CASES = [
    json.loads(row)
    for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
    for row in path.read_bytes().splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_comes_back_as_its_table_says(case: dict[str, Any]) -> None:
    fixed = lint.fix(case["input"], case["ruleset"])
    errors = [finding.code for finding in fixed.findings if finding.severity == "error"]
    if case["expect"] == "clean":
        assert fixed.text == case["input"] and not errors
    elif case["expect"] == "fix":
        assert fixed.text == case["fixed"]
        assert fixed.clean and fixed.applied
        assert not lint.check(fixed.text, case["ruleset"])
    else:
        assert fixed.text == case["input"] and not fixed.clean and errors
    assert set(case["codes"]) <= {finding.code for finding in fixed.findings}


def test_every_rule_that_reads_one_text_has_a_case() -> None:
    spoken = {code for case in CASES for code in case["codes"]}
    alone = {code for code, rule in lint.catalogue().items() if rule.check is not None}
    assert alone - spoken == {"R014"}  # speaks in a project that enables fewer finals: test_orthography
