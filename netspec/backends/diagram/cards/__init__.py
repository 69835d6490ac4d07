"""The style `cards`: layers as rows of cards, on a straight spine or in a U."""
