"""PersistentVolumes and their claims: which volume serves which claim, and what must not vanish while it is in use.

``matching`` finds the volume of a claim, ``claims`` and ``binder`` bring the two together and tell the phases, ``protection`` keeps both
from going while somebody needs them. Making volumes is the provisioners'.
"""
