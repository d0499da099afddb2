-- Step: the model names that the data uses; '' where it has none.
--
-- A call that several spans tell of may have its provider from one and its models from another, or from
-- its line: together they stand on none. Each is matched to the price list by genai-prices; the outcome is the table
-- price_matches.
CREATE OR REPLACE TEMP VIEW models_used AS
SELECT DISTINCT
    COALESCE(provider, '') AS provider,
    COALESCE(request_model, '') AS request_model,
    COALESCE(response_model, '') AS response_model
FROM (
    SELECT provider, request_model, response_model
    FROM span_facts
    UNION ALL
    SELECT provider, request_model, response_model
    FROM retold_calls
    UNION ALL
    SELECT
        other_provider AS provider, other_request_model AS request_model,
        other_response_model AS response_model
    FROM retold_calls
    WHERE other_provider IS NOT NULL
    UNION ALL
    SELECT provider, request_model, response_model
    FROM line_usage
    UNION ALL
    SELECT provider, request_model, response_model
    FROM log_facts
    WHERE span_class IN ('llm', 'agent')
) AS names
WHERE request_model IS NOT NULL OR response_model IS NOT NULL
