"""Cleaning rules: the defaults on what real transcripts contain, and rules of one's own from TOML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.base.errors import SecateurError
from secateur.text.clean import CleanRules, Rule, cleaner, read_rules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\t words\n", "two words"),
        ("don\u2019t \u201cquote\u201d `me\u00b4", "don't \"quote\" 'me'"),
        ("<unk> hello <noise>", "hello"),
        ("</s> a [laughter] b {breath} c ++um++ d !SIL", "a b c d"),
        ("zero\u200bwidth and soft\u00adhyphen", "zerowidth and softhyphen"),
        ("bell\x07 next\x85line", "bell next line"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("ﬁne １２３ cafe\u0301", "fine 123 café"),
        ("a\u2014b", "a-b"),
        ("I said (quietly) so", "I said (quietly) so"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("[noise]", ""),
        ("a &amp; b <i>c</i>", "a & b c"),
        ("it&#39;s &lt;unk&gt; here&nbsp;now &#x2019;tis", "it's here now 'tis"),
        ("&amp;quot;so&amp;quot; &amp;lt;b&amp;gt;he&lt;/b&gt; said", '"so" he said'),
        ('<font color="#ffffff" face="Arial Narrow, Helvetica, sans">why</font><!-- a <b> --> not', "why not"),
        ("AT&T, R&D; fish & chips, 1 &lt; 2", "AT&T, R&D; fish & chips, 1 < 2"),
        ("caf&eacute; soft&shy;ly &#0;&#7;", "café softly"),
    ],
)
def test_defaults(text: str, expected: str) -> None:
    assert cleaner()(text) == expected


@given(st.text())
def test_clean_text_stays_as_it_is(text: str) -> None:
    once = cleaner()(text)
    assert cleaner(CleanRules(defaults=False))(once) == once
    assert once == once.strip()
    assert "  " not in once


def test_rules_from_a_file_run_after_the_defaults_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        "unicode = \"NFC\"\n[[rule]]\npattern = '(\\d+) %'\nreplace = '\\1 percent'\n"
        "[[rule]]\npattern = 'percent'\nreplace = 'per cent'\n[[rule]]\npattern = 'uh'\n"
    )
    assert cleaner(read_rules(path))("uh [noise] 20 % ﬁne") == "20 per cent ﬁne"


def test_defaults_can_be_switched_off() -> None:
    clean = cleaner(CleanRules(unicode="none", defaults=False, rule=(Rule("[aeiou]", "_"),)))
    assert clean("[noise]  don\u2019t") == "[n__s_] d_n\u2019t"
    assert clean("a &amp; b") == "_ &_mp; b"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[[rule]]\npattern = 'ok'\n[[rule]]\npattern = '(a'\n", "rule[1]: pattern '(a' is no regular expression"),
        ("[[rule]]\npattern = '(a)'\nreplace = '\\2'\n", "rule[0]: replace '\\2' does not fit pattern '(a)'"),
        ("[[rule]]\npatern = 'a'\n", "rule[0]: unknown key 'patern' (did you mean 'pattern'?)"),
        ("[[rule]]\nreplace = 'a'\n", "rule[0]: missing key 'pattern'"),
        ("unicode = 'NFX'\n", "unicode: 'NFX' is not one of NFKC, NFC, none"),
        ("rule = 3\n", "rule: expected a list"),
        ("[[rule]\n", "not valid TOML"),
        ("RIFF\x24\x08\x00\x00WAVEfmt ", "an audio file, where a TOML file of settings belongs"),
    ],
)
def test_bad_rules_are_one_clear_line(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content)
    with pytest.raises(SecateurError) as caught:
        read_rules(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
