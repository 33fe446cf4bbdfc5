"""The OpenAPI document as a page to read, without any script from elsewhere."""

from html import escape


def page(document):
    """HTML of an OpenAPI document: each address with what it takes and what it gives."""
    info = document["info"]
    operations = [_operation(method, path, operation) for path, methods in document["paths"].items()
                  for method, operation in methods.items()]
    schemas = document.get("components", {}).get("schemas", {})
    paragraphs = "".join(f"<p>{_marked(part)}</p>" for part in info["description"].split("\n\n"))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · {escape(info['title'])}</title><link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/page/page.css"></head><body class="paper"><main class="reference">
<p><a href="/">← to the page</a></p><h1>{escape(info['title'])} API</h1>{paragraphs}
<p>For programs: <a href="/openapi.json">openapi.json</a>. A picture is asked about by its file as the body:</p>
<pre><code>curl --data-binary @cat.jpg -H 'content-type: image/jpeg' 'http://127.0.0.1:8000/api/by-picture?k=5'</code></pre>
{''.join(operations)}<h2>Answers</h2>{''.join(_schema(name, schema) for name, schema in schemas.items())}
</main></body></html>"""


def _operation(method, path, operation):
    rows = "".join(_row(f"{one['name']}{'' if one.get('required') else '?'}", one["schema"],
                        one.get("description", "")) for one in operation.get("parameters", []))
    rows += _row("body", {"title": "file"}, "a picture's file") if "requestBody" in operation else ""
    gives = "".join(_kind(content.get("schema", {})) if kind.endswith("json") else escape(kind)
                    for kind, content in operation["responses"].get("200", {}).get("content", {}).items())
    table = f"<table>{rows}</table>" if rows else ""
    return (f"<section><h2><span class='method'>{escape(method.upper())}</span> <code>{escape(path)}</code></h2>"
            f"<p>{_marked(operation.get('description', ''))} → {gives or 'nothing'}</p>{table}</section>")


def _schema(name, schema):
    fields = "".join(_row(field, of, "") for field, of in schema.get("properties", {}).items())
    return (f"<section><h3 id='{escape(name)}'>{escape(name)}</h3><p>{_marked(schema.get('description', ''))}</p>"
            f"<table>{fields}</table></section>")


def _row(name, schema, about):
    return f"<tr><th>{escape(name)}</th><td>{_kind(schema)}</td><td>{_marked(about)}</td></tr>"


def _kind(schema):
    """A schema in a few words; of another one its name, linked."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{sign} {schema[bound]:g}" for bound, sign in (("minimum", "≥"), ("maximum", "≤")) if bound in schema]
    default = [f"default {schema['default']}"] if schema.get("default") is not None else []
    return escape(", ".join([schema.get("type", "file"), *bounds, *default]))


def _marked(text):
    """Text with `code` marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
