"""The pages. Each parses, asks inward, and renders; nothing here changes anything."""
