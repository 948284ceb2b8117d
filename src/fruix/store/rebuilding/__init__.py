"""Making the database anew from what lies in the store: for when it is damaged or lost.

`seen` reads every object once; `inference` works out what was registered; `rebuild` does it all and
puts the new database in the place of the old one.
"""
