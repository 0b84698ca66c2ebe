"""What models are trained on: labelled tables, images, several labels a row, blocks."""
