"""create_app(settings): the Flask intake server, wired; nothing else."""
