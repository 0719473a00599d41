"""The write-up as HTML: Markdown with our directives, TeX as MathML, highlighted code."""
