"""What client, server and consumers say to each other: values, codes, wire forms.

Nothing here imports a third party, so every other part may stand on it.
"""
