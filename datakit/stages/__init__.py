"""The built-in stages, one file or folder each; found by entry point, never imported by the core."""
