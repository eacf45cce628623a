"""The index in PostgreSQL: what is stored, and where. The only package that speaks SQL."""
