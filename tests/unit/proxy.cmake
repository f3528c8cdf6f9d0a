# Unit tests of proxy/, one line each.
