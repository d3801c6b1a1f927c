"""Text and the rules it keeps; knows no server and no sound."""
