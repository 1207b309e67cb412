"""Where everything lasting is kept: one small door to SQLite or PostgreSQL, the same statements for both."""

from meshwright.database.door import Database, Row, Statement, Transaction, Value, open_database

__all__ = ["Database", "Row", "Statement", "Transaction", "Value", "open_database"]
