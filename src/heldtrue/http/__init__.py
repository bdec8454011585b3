"""HTTP: routes as data, and the one pipeline that every request goes through."""
