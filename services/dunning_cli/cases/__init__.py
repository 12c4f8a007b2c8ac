"""What the three services keep of cases and accounts, brought together for a person.

`read` asks the database, `expected` says in words what comes next, `text` lays it out. Nothing here changes anything.
"""
