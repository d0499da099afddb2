-- Take the write lock at once, so that a transaction never fails half-way for want of it.
BEGIN IMMEDIATE
