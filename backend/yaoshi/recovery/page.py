"""The page behind the "this was not me" of a notice. It does nothing by itself: mail scanners open every link.

The token stands after the #, which no browser sends: it gets into no log and no Referer.
"""

from html import escape

from flask import Flask, Response, request

from yaoshi.core.phrases import Phrase
from yaoshi.web.callers import caller_of

_TITLE = Phrase("This was not me", "这不是我本人操作")
_WHAT = Phrase(
    "If you confirm, everybody is signed out of your account and its password is void, on all devices and at once."
    " You then set a new password with a code.",
    "确认后，您的账号将立即在所有设备上退出登录，原密码作废。之后请通过验证码设置新密码。",
)
_CONFIRM = Phrase("Yes, sign everybody out", "确认，退出所有设备")
_BROKEN = Phrase("No connection. Please try again.", "网络连接失败，请重试。")
_PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{title} · {name}</title><link rel="stylesheet" href="disown/page.css"></head>
<body><main><p class="name">{name}</p><h1>{title}</h1><p>{what}</p>
<button id="confirm" type="button" data-broken="{broken}">{confirm}</button><p id="told" role="status"></p></main>
<script src="disown/page.js"></script></body>
</html>
"""
_SCRIPT = """const button = document.getElementById('confirm'), told = document.getElementById('told')
button.addEventListener('click', async () => {
  button.disabled = true
  try {
    const answer = await fetch('api/auth/disown', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Accept-Language': document.documentElement.lang },
      body: JSON.stringify({ token: location.hash.slice(1) || '-' }),
    })
    told.textContent = (await answer.json()).msg
    button.hidden = answer.status < 500
  } catch {
    told.textContent = button.dataset.broken
  }
  button.disabled = false
})
"""
_STYLE = """body { margin: 0; padding: 24px 16px; background: #f3f5f7; color: #1c2430;
  font: 16px/1.7 "PingFang SC", "HarmonyOS Sans SC", "Microsoft YaHei", "Noto Sans SC", system-ui, sans-serif }
main { max-width: 440px; margin: 5vh auto; padding: 28px; background: #fff; border-radius: 12px }
h1 { margin: 0 0 12px; font-size: 22px; line-height: 1.4 } .name { margin: 0 0 16px; font-weight: 600; color: #0f766e }
button { min-height: 44px; margin-top: 8px; padding: 8px 20px; border: 0; border-radius: 8px; background: #b42318;
  color: #fff; font: inherit; font-weight: 600 } button:disabled { opacity: .6 } #told { font-weight: 600 }
@media (prefers-color-scheme: dark) { body { background: #10151b; color: #e6ebf1 } main { background: #1b232d }
  .name { color: #2dd4bf } }
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def install(app: Flask, name: str) -> None:
    """Serve the page of the installation called `name`, all from this process."""

    def page() -> Response:
        language = caller_of(request).language
        words = {"title": _TITLE, "what": _WHAT, "confirm": _CONFIRM, "broken": _BROKEN}
        said = {key: phrase.say(language) for key, phrase in words.items()}
        html = _PAGE.format(language=language, name=escape(name), **said)
        return Response(html, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

    def script() -> Response:
        return Response(_SCRIPT, content_type="text/javascript; charset=utf-8")

    def style() -> Response:
        return Response(_STYLE, content_type="text/css; charset=utf-8")

    for path, view in (("/disown", page), ("/disown/page.js", script), ("/disown/page.css", style)):
        app.add_url_rule(path, path, view)
