"""Writes data/tokenizers/unicode_stand_ins.inc: code points whose general category Hugging Face's tokenizers
(Oniguruma, Unicode 16) knows and PCRE2 10.42 (Unicode 14, as Python 3.11's unicodedata) does not.

python make_stand_ins.py > ../../../data/unicode_stand_ins.inc     (made with tokenizers 0.23.3)
"""
import sys
import unicodedata

from tokenizers import Regex, __version__, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
# Letters of Unicode 14 by category and UTF-8 length; Lo is CJK (script Han) in planes 2 and 3.
STAND_INS = {
    (3, "Lu"): 0x1E00, (3, "Ll"): 0x1E01, (3, "Cf"): 0x200B, (3, "Mn"): 0x1DC0, (3, "So"): 0x2600,
    (3, "Po"): 0x2016, (3, "Sc"): 0x20A0, (3, "Sm"): 0x2200, (3, "Lo"): 0x0E01, (3, "Mc"): 0x0903,
    (4, "Lu"): 0x10400, (4, "Ll"): 0x10428, (4, "Lo"): 0x10450, (4, "Lm"): 0x16B40,
    (4, "Mn"): 0x101FD, (4, "Mc"): 0x11000, (4, "Nd"): 0x104A0, (4, "No"): 0x10107,
    (4, "Po"): 0x10100, (4, "So"): 0x1F300, (4, "Pd"): 0x10EAD, (4, "Cf"): 0x110BD,
    (4, "Sm"): 0x1D6C1, (4, "Nl"): 0x10140,
}
CATEGORIES = ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
              "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Cf"]
splitters = {c: pre_tokenizers.Split(Regex(r"\p{%s}" % c), "isolated") for c in CATEGORIES}
known = pre_tokenizers.Split(Regex(r"[^\p{Cn}\p{Co}\p{Cs}]"), "isolated")


def matches(splitter, code_point):
    return len(splitter.pre_tokenize_str("%s%s%s" % ("\ue000", chr(code_point), "\ue000"))) == 3


ranges = []
for c in [0x180E, *range(0x80, 0x40000), *range(0xE0000, 0xE1000)]:
    if 0xD800 <= c < 0xE000 or 0xE000 <= c < 0xF900:
        continue
    # U+180E is white space to PCRE2's \s and is not to Unicode since 6.3.
    if c != 0x180E and (unicodedata.category(chr(c)) != "Cn" or not matches(known, c)):
        continue
    category = next(k for k in CATEGORIES if matches(splitters[k], c))
    stand_in = STAND_INS[len(chr(c).encode()), category]
    if category == "Lo" and 0x20000 <= c:
        stand_in = 0x20000
    assert len(chr(stand_in).encode()) == len(chr(c).encode())
    if not matches(splitters[category], stand_in):
        sys.exit("U+%04X is not %s" % (stand_in, category))
    if ranges and ranges[-1][1] == c - 1 and ranges[-1][2] == stand_in:
        ranges[-1][1] = c
    else:
        ranges.append([c, c, stand_in])

print("// Made by tests/data/reference/make_stand_ins.py with tokenizers %s: {first, last, stand-in}."
      % __version__)
for first, last, stand_in in sorted(ranges):
    print("{0x%X, 0x%X, 0x%X}," % (first, last, stand_in))
