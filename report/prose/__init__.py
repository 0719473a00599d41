"""The write-up as HTML: Markdown with custom directives, TeX as MathML, highlighted code."""
