-- Which model names occur in the snapshot? They are matched to the price list one by one.
--
-- Columns: provider, request_model, response_model VARCHAR; '' where the telemetry has none.
SELECT DISTINCT
    COALESCE(provider, '') AS provider,
    COALESCE(request_model, '') AS request_model,
    COALESCE(response_model, '') AS response_model
FROM (
    SELECT provider, request_model, response_model
    FROM lake_spans
    WHERE span_class IN ('llm', 'agent', 'node')
    UNION ALL
    SELECT provider, request_model, response_model
    FROM lake_logs
    WHERE event_name = 'agent.run'
) AS names
WHERE request_model IS NOT NULL OR response_model IS NOT NULL
