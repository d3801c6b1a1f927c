"""The whole job on one machine, with real code over real HTTP."""
