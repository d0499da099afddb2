-- Deliveries that were made long ago need not be kept; the incidents themselves are.
DELETE FROM outbox WHERE delivered_at < :before
