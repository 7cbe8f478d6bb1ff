"""The report as JUnit XML: a suite for each file, a test case for each finding.

Errors and warnings fail; notes pass with their text; waived findings and what could not be checked
are skipped with the reason.  A run without findings is one case that passes, since many readers
take an empty report for a crash.
"""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as ET

from pylib.validate.output.text import place, summary
from pylib.validate.report import Finding, Report, Severity, Unchecked

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RUN = "validate"


def render(report: Report, *, colour: bool = False) -> str:
    """The report as an XML document; ``colour`` is not used."""
    del colour
    root = ET.Element("testsuites", name="vllm-fast-start")
    for file, findings in groupby(report.findings, key=lambda finding: finding.file):
        suite = ET.SubElement(root, "testsuite", name=_clean(file or _RUN))
        for finding in findings:
            _finding(suite, finding)
    if report.unchecked:
        suite = ET.SubElement(root, "testsuite", name="not checked")
        for unchecked in report.unchecked:
            _unchecked(suite, unchecked)
    suite = ET.SubElement(root, "testsuite", name=_RUN)
    ET.SubElement(suite, "testcase", classname=_RUN, name=_clean(summary(report)))
    for suite in [root, *root]:
        _count(suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _finding(suite: ET.Element, finding: Finding) -> None:
    name = " ".join(part for part in (finding.rule, finding.object, finding.path) if part)
    case = ET.SubElement(suite, "testcase", classname=suite.attrib["name"], name=_clean(name))
    where = place(finding.file, finding.line)
    body = "\n".join(part for part in (where, finding.message, finding.fix) if part)
    if finding.waived is not None:
        ET.SubElement(case, "skipped", message=_clean(f"waived: {finding.waived}"))
    elif finding.severity is Severity.NOTE:
        ET.SubElement(case, "system-out").text = _clean(body)
    else:
        kind = finding.severity.value
        failure = ET.SubElement(case, "failure", type=kind, message=_clean(finding.message))
        failure.text = _clean(body)


def _unchecked(suite: ET.Element, unchecked: Unchecked) -> None:
    classname = _clean(unchecked.file or _RUN)
    case = ET.SubElement(suite, "testcase", classname=classname, name=_clean(unchecked.object))
    ET.SubElement(case, "skipped", message=_clean(unchecked.reason))


def _count(suite: ET.Element) -> None:
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(name, str(sum(1 for _ in suite.iter(tag))))


def _clean(text: str) -> str:
    """XML has no way to write control characters: each becomes a replacement character."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
