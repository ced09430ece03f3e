"""Sentences that people read, in each language that the house speaks."""

from typing import NamedTuple


class Phrase(NamedTuple):
    """One sentence in English and in simplified Chinese; `{name}` places are filled by `say`."""

    en: str
    zh: str

    def say(self, language: str, **values: object) -> str:
        """Return the sentence in `language` ("en" or "zh-CN") with its places filled."""
        sentence = self.en if language == "en" else self.zh
        return sentence.format(**values) if values else sentence


LANGUAGES = ("zh-CN", "en")

FIELDS = {
    "username": Phrase("The username", "用户名"),
    "email": Phrase("The e-mail address", "邮箱"),
    "phone": Phrase("The phone number", "手机号"),
    "password": Phrase("The password", "密码"),
    "old_password": Phrase("The old password", "原密码"),
    "new_password": Phrase("The new password", "新密码"),
    "role": Phrase("The role", "角色"),
    "identifier": Phrase("The account name", "账号"),
    "channel": Phrase("The channel", "验证方式"),
    "contact": Phrase("The contact", "联系方式"),
    "code": Phrase("The code", "验证码"),
    "value": Phrase("The new contact", "新的联系方式"),
    "token": Phrase("The token", "令牌"),
    "body": Phrase("The request body", "请求体"),
}

FAULTS = {
    "missing": Phrase("{field} is required.", "{field}不能为空。"),
    "not_a_string": Phrase("{field} must be text.", "{field}必须是字符串。"),
    "not_json": Phrase("{field} is not valid JSON.", "{field}不是有效的 JSON。"),
    "not_a_form": Phrase("{field} is not a valid form.", "{field}不是有效的表单。"),
    "unknown_member": Phrase("{field} holds a member that is not known here.", "{field}包含未知字段。"),
    "not_an_object": Phrase("{field} must be a JSON object.", "{field}必须是 JSON 对象。"),
    "too_long": Phrase("{field} is too long: {most} characters at most.", "{field}过长，最多 {most} 个字符。"),
    "too_short": Phrase("{field} is too short: {least} characters at least.", "{field}过短，至少 {least} 个字符。"),
    "no_upper": Phrase("{field} needs an upper-case letter.", "{field}需包含大写字母。"),
    "no_lower": Phrase("{field} needs a lower-case letter.", "{field}需包含小写字母。"),
    "no_digit": Phrase("{field} needs a digit.", "{field}需包含数字。"),
    "too_common": Phrase("{field} is one of the most common ones. Choose another.", "{field}过于常见，请换一个。"),
    "same_as_old": Phrase("{field} must differ from the old one.", "{field}不能与原密码相同。"),
    "wrong": Phrase("{field} is wrong.", "{field}错误。"),
    "not_allowed": Phrase("{field} must be one of: {allowed}.", "{field}只能是：{allowed}。"),
    "not_an_email": Phrase("{field} is not a valid e-mail address.", "{field}格式不正确。"),
    "not_a_phone": Phrase("{field} is not a valid phone number.", "{field}格式不正确。"),
    "has_at_sign": Phrase("{field} may not contain @.", "{field}不能包含 @。"),
    "is_a_phone": Phrase("{field} may not be a phone number.", "{field}不能是手机号。"),
    "bad_characters": Phrase(
        "{field} may hold letters, digits, inner spaces and . _ - + # & ' ( ) only.",
        "{field}只能包含文字、数字、中间空格和 . _ - + # & ' ( )。",
    ),
    "mixed_scripts": Phrase("{field} mixes look-alike alphabets.", "{field}混用了容易混淆的字母。"),
    "taken": Phrase("{field} is already in use.", "{field}已被使用。"),
}


def fault(language: str, field: str, code: str, values: dict[str, object]) -> str:
    """Return the sentence of one fault, naming the field as people call it."""
    named = FIELDS.get(field)
    return FAULTS[code].say(language, field=named.say(language) if named else field, **values)
