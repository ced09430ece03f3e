"""Identifiers by table: one canonical form each, and no two that could be taken for one another."""

import pytest

from yaoshi.accounts.policy import (
    HandleKind,
    fold_email,
    fold_username,
    phone_key,
    read_email,
    read_handle,
    read_phone,
    read_username,
    skeleton,
)  # fmt: skip
from yaoshi.core.errors import Fault
from yaoshi.core.phrases import FAULTS

MOBILE = "+8613800138000"
STRANGE = ("", "@", "😀", "a\x00b", "甲" * 120, "x" * 400 + "@a.cn", "\u0301" * 320, "\ufdfa" * 80, "+", "a@xn--a.cn")


@pytest.mark.parametrize("name", [
    "张三", "张san", "admin", "root", "管理员", "me", "0x", "-1", "10", "1e3", "true", "null", "20240001", "O'Brien",
    "R&D (北京)", "古丽·买买提", "アリスa", "한글a", "ㄅㄆa", "Иван", "a b", "a.b_c-d+e#f", "〇七", "ab" * 40,
])  # fmt: skip
def test_u12_u13_a_name_is_just_a_name(name: str) -> None:
    assert read_username(f"  {name} ") == (name, [])
    assert read_handle(name).kind is HandleKind.NAME


@pytest.mark.parametrize(("name", "codes"), [
    pytest.param(typed, set(codes.split()), id=f"{number}-{title}") for number, title, typed, codes in (
        ("U02", "cyrillic", "аdmin", "mixed_scripts"), ("U02", "greek", "rοοt", "mixed_scripts"),
        ("U02", "cherokee", "Ꭰlice", "mixed_scripts"), ("U02", "armenian", "օlga", "mixed_scripts"),
        ("U02", "mathematical-greek", "\U0001d6fcdmin", "mixed_scripts"),
        ("U04", "zwsp", "a\u200bb", "bad_characters"), ("U04", "zwnj", "a\u200cb", "bad_characters"),
        ("U04", "zwj", "a\u200db", "bad_characters"), ("U04", "bom", "a\ufeffb", "bad_characters"),
        ("U04", "rtl", "a\u202eb", "bad_characters"), ("U04", "nul", "a\x00b", "bad_characters"),
        ("U04", "bell", "a\x07b", "bad_characters"), ("U04", "replacement", "a\ufffdb", "bad_characters"),
        ("U04", "private", "a\ue000b", "bad_characters"), ("U04", "unassigned", "a\u0378b", "bad_characters"),
        ("U04", "surrogate", "a\ud800b", "bad_characters"), ("U04", "marks", "a" + "\u0301" * 5, "bad_characters"),
        ("U04", "composed-marks", "é" + "\u0301" * 4, "bad_characters"),
        ("U04", "hangul-filler", "\u3164\u3164", "bad_characters"),
        ("U04", "variation-selector", "张\ufe00三", "bad_characters"),
        ("U04", "blanks", "a  b", "bad_characters"), ("U04", "wide-blank", "a\u3000b", "bad_characters"),
        ("U04", "emoji", "a😀", "bad_characters"), ("U04", "newline", "a\nb", "bad_characters"),
        ("U09", "phone", "13800138000", "is_a_phone"), ("U09", "spelled", "+86 138-0013-8000", "is_a_phone"),
        ("U09", "fullwidth", "１３８００１３８０００", "is_a_phone"), ("U09", "mathematical", "𝟏3800138000", "is_a_phone"),
        ("U10", "at", "a@b", "has_at_sign"), ("U10", "wide-at", "a＠b", "has_at_sign"),
        ("U10", "small-at", "a﹫b", "has_at_sign"),
        ("U13", "one", "1", "too_short"), ("U13", "nothing", " ", "missing"), ("U13", "long", "a" * 81, "too_long"),
        ("U13", "all-at-once", "аd\u200bmin" * 20, "too_long bad_characters mixed_scripts"),
    )
])  # fmt: skip
def test_a_deceiving_name_is_refused_with_all_its_faults(name: str, codes: set[str]) -> None:
    faults = read_username(name)[1]
    assert {fault.code for fault in faults} == codes <= set(FAULTS)
    assert all(FAULTS[fault.code].say("en", field="It", **fault.values) for fault in faults)


@pytest.mark.parametrize(("one", "other"), [
    pytest.param("Alice", "ALICE", id="U01-case"), pytest.param("Alice", "ａｌｉｃｅ", id="U01-fullwidth"),
    pytest.param("a b", " A  b ", id="U01-blanks"), pytest.param("straße", "STRASSE", id="U05-sharp-s"),
    pytest.param("kate", "\u212aate", id="U05-kelvin"),
])  # fmt: skip
def test_one_name_in_two_spellings_is_one_name(one: str, other: str) -> None:
    assert fold_username(one) == fold_username(other) == read_handle(other).key


@pytest.mark.parametrize(("one", "other"), [
    pytest.param("admin", "аdmin", id="U02-cyrillic"), pytest.param("root", "rοοt", id="U02-greek"),
    pytest.param("cape", "саре", id="U02-all-cyrillic"), pytest.param("admin", "𝐚𝐝𝐦𝐢𝐧", id="U02-mathematical"),
    pytest.param("root", "ｒｏｏｔ", id="U02-fullwidth"), pytest.param("paypal", "paypa1", id="U02-digit"),
    pytest.param("modern", "modem", id="U02-rn"), pytest.param("王力", "王カ", id="U02-katakana"),
    pytest.param("admin", "ad\u200bmin", id="U02-unseen"), pytest.param("tom", "ТОМ", id="U02-cyrillic-capitals"),
    pytest.param("paypal", "paypaI", id="U02-capital-i"), pytest.param("beta", "ΒΕΤΑ", id="U02-greek-capitals"),
])  # fmt: skip
def test_look_alikes_share_a_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_u06_names_that_look_different_have_skeletons_of_their_own() -> None:
    names = {form.format(number * 0x9E3779B1) for form in ("{:016x}", "{:x}z") for number in range(10_000)}
    names |= {f"user{number}" for number in range(10_000)} | {"rene", "rené", "renè", "ıvan"}
    han = {chr(point) for point in range(0x4E00, 0xA000)}
    assert len({skeleton(name) for name in names}) == len(names)
    assert {skeleton(char) for char in han} == han


@pytest.mark.parametrize(("typed", "key"), [
    ("A.b+C@Example.CN", "a.b+c@example.cn"), ("ab@example.cn", "ab@example.cn"), (" a@b.cn ", "a@b.cn"),
    ("a@bücher.de", "a@xn--bcher-kva.de"), ("a@XN--BCHER-KVA.de", "a@xn--bcher-kva.de"), ("a@bu\u0308cher.de", "a@xn--bcher-kva.de"),
    ("a@faß.de", "a@xn--fa-hia.de"), ("a@fass.de", "a@fass.de"), ("a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s"),
    ("a@mail.local", "a@mail.local"), ("a@mail.test", "a@mail.test"), ("x" * 64 + "@b.cn", "x" * 64 + "@b.cn"),
])  # fmt: skip
def test_u10_a_usable_address_is_stored_as_typed_and_compared_folded(typed: str, key: str) -> None:
    assert (read_email(typed), fold_email(typed)) == ((typed.strip(), []), key)
    assert read_handle(typed).key == fold_email(key) == key


@pytest.mark.parametrize("typed", [
    pytest.param(typed, id=title) for title, typed in {
        "U05-dotless": "mıke@x.cn", "U05-long-s": "ſam@x.cn", "U05-kelvin": "\u212aate@x.cn", "U05-sharp-s": "ß@x.cn",
        "U10-quoted": '"a"@x.cn', "U10-comment": "(c)a@x.cn", "U10-literal": "a@[127.0.0.1]", "U10-bare-ip": "a@127.0.0.1",
        "U10-no-dot": "a@b", "U10-two-dots": "a@b..cn", "U10-last-dot": "a@b.cn.", "U10-65": "x" * 65 + "@b.cn",
        "U10-wide-at": "a＠x.cn", "U10-small-at": "a﹫x.cn", "U10-second-at": "a@x＠y.cn", "U10-bidi": "a@1א.com",
        "U10-newline": "a@x.cn\r\nBcc: b@x.cn", "U10-tab": "a\tb@x.cn", "U10-comma": "a@x.cn,b@x.cn", "U10-nul": "a@x.cn\x00",
        "U10-semicolon": "a@x.cn;b@x.cn", "U10-display": "A <a@x.cn>", "U10-unseen": "a@\u200bx.cn", "U10-han": "张@x.cn",
    }.items()
])  # fmt: skip
def test_an_address_that_could_deceive_is_refused_and_means_nobody(typed: str) -> None:
    assert (read_email(typed)[1], fold_email(typed)) == ([Fault("email", "not_an_email")], None)
    handle = read_handle(typed)
    assert handle.exact == typed and (handle.kind is HandleKind.NAME or fold_email(handle.key) is None)


def test_u10_an_address_has_a_length() -> None:
    longest = "abc@" + ".".join(["x" * 61] * 4) + ".cn"
    assert (len(longest), read_email(longest)[1], read_email("  ")[1]) == (254, [], [Fault("email", "missing")])
    assert read_email("d" + longest)[1] == [Fault("email", "too_long", {"most": 254})]


@pytest.mark.parametrize("typed", [
    "13800138000", " 138 0013 8000 ", "+86 138 0013 8000", "0086-138-0013-8000", "0086 138 0013 8000", "(86)138-0013-8000",
    "８６－１３８００１３８０００", "＋86（138）00138000", "138‐0013−8000", "138.0013/8000", "8613800138000",
])  # fmt: skip
def test_u09_one_number_in_many_spellings_is_one_number(typed: str) -> None:
    assert (read_phone(typed), phone_key(typed)) == ((("13800138000", MOBILE), []), MOBILE)
    assert (read_handle(typed).kind, read_handle(typed).key) == (HandleKind.PHONE, MOBILE)


@pytest.mark.parametrize("typed", [
    "bob13800138000", "²1380013800", "1³800138000", "138-0013-8000x", "+1 380 013 8000", "1380013800", "138001380000", "12345",
    "١٣٨٠٠١٣٨٠٠٠", "①3800138000", "𝟏3800138000", "⁺8613800138000", "13800138000;ext=1", "138\u200b00138000", "tel:13800138000",
    "138\n00138000", "++8613800138000", "8+613800138000", "",
])  # fmt: skip
def test_u08_u09_what_only_resembles_a_number_is_none(typed: str) -> None:
    assert (read_phone(typed), phone_key(typed)) == ((None, [Fault("phone", "not_a_phone")]), None)
    assert read_handle(typed).kind is HandleKind.NAME


def test_u09_a_number_of_another_country_keeps_its_country() -> None:
    assert read_phone("+1 (650) 253-0000") == (("+16502530000", "+16502530000"), [])


@pytest.mark.parametrize("typed", STRANGE, ids=range(len(STRANGE)))
def test_nothing_typed_or_adopted_breaks_the_reading(typed: str) -> None:
    for read in (read_handle, read_username, read_email, read_phone, fold_username, skeleton, fold_email, phone_key):
        read(typed)
    assert read_handle(typed).exact == typed and len(fold_username(typed)) <= 255 >= len(skeleton(typed))
