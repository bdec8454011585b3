"""PostgreSQL: the embedded server, roles, migrations, and the three kinds of transaction."""
