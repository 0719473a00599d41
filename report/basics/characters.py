"""The characters that no text of the report may contain."""

# A class for `re`: control characters, line and paragraph separators, surrogates, and the characters that set the
# direction of text, which can make one text look like another ("bidirectional text spoofing", Unicode Technical Report
# 36). generators/figures.py refuses the same.
CONTROL = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
