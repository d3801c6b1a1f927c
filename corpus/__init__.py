"""What is kept and what is released."""
