"""The face for operators and developers: health, the API page, the problem catalogue, housekeeping.

Owns the table `installation`: a few marks that belong to the database as a whole.
"""
