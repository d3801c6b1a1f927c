"""Sound to numbers to grade: arrays in, values out; opens no files."""
