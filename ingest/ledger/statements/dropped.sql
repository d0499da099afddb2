-- What was dropped of each service since :since, a unix hour; since ever when that is 0.
--
-- Columns: signal, service, dropped (attributes and bodies).
SELECT signal, service, sum(dropped) AS dropped
FROM dropped
WHERE hour >= :since
GROUP BY signal, service
