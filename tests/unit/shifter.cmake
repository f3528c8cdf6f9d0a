# Unit tests of shifter/, one line each.
