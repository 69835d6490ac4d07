"""From DOT to a file: which renderer draws, and how its SVG is made ours and becomes a PDF."""
