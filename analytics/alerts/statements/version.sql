-- Which version of schema.sql does this file have? 0: none yet.
PRAGMA user_version
