-- Note that a damaged ledger was set aside.
--
-- Parameter: at, in s of the unix clock.
INSERT OR IGNORE INTO replaced (at) VALUES (:at)
