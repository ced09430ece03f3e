"""The developer's outbox: the messages that this development server would have sent, as people would read them."""

from flask import Flask, Response
from jinja2 import Environment

from yaoshi.messaging.service import Messages

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Outbox of this development server</title><link rel="stylesheet" href="outbox/page.css"></head>
<body><main><h1>Outbox</h1><p>The newest first. In development only.</p>
{% for letter in letters %}
<article lang="{{ letter.language }}"><h2>{{ letter.subject if "@" in letter.to else letter.kind }}</h2>
<p class="to">to {{ letter.to }} · {{ letter.kind }} · {{ letter.language }}</p>
<pre>{{ letter.text if "@" in letter.to else letter.sms }}</pre></article>
{% else %}<p>Nothing yet. Ask for a code, and look again.</p>{% endfor %}
</main></body></html>
"""
_STYLE = """body { margin: 0; padding: 24px 16px; background: #f3f5f7; color: #1c2430;
  font: 16px/1.6 "PingFang SC", "Microsoft YaHei", "Noto Sans SC", system-ui, sans-serif }
main { max-width: 640px; margin: 0 auto } article { padding: 16px 20px; margin: 16px 0; background: #fff;
  border-radius: 12px } h1 { font-size: 22px } h2 { margin: 0; font-size: 17px } .to { margin: 0 0 8px; color: #4d5a69 }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }
"""
_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def install(app: Flask, messages: Messages) -> None:
    """Serve the page at `/outbox`. For the development house alone: it shows codes."""
    template = Environment(autoescape=True).from_string(_PAGE)

    def page() -> Response:
        html = template.render(letters=messages.shown())
        return Response(html, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

    def style() -> Response:
        return Response(_STYLE, content_type="text/css; charset=utf-8")

    app.add_url_rule("/outbox", "/outbox", page)
    app.add_url_rule("/outbox/page.css", "/outbox/page.css", style)
