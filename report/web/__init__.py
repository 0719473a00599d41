"""The web forms of a panel: small image files, and the metadata inside them."""
