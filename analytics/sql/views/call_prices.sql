-- Step: the dated prices of each model name that the data uses.
--
-- price_matches holds, for each (provider, request_model, response_model) seen, the price list's
-- name for it; an absent text is '' there, so that the join is on equality.
CREATE OR REPLACE TEMP TABLE call_prices AS
SELECT
    price_matches.provider,
    price_matches.request_model,
    price_matches.response_model,
    prices.price_id,
    prices.valid_from,
    prices.valid_to,
    prices.second_from,
    prices.second_to,
    prices.input_tokens_above,
    prices.input_tokens_up_to,
    prices.input_usd,
    prices.cache_read_usd,
    prices.cache_write_usd,
    prices.output_usd,
    prices.reasoning_usd,
    prices.request_usd
FROM price_matches
JOIN prices
    ON prices.provider = price_matches.price_provider AND prices.model = price_matches.price_model
