"""Pictures of networks: a view of the graph as DOT, drawn by a renderer, finished as SVG, PNG or PDF."""
