-- What is deleted on this connection is overwritten, and not only given up.
PRAGMA secure_delete = ON
