-- What a token costs, by date: the public price list with your own prices laid over it.
--
-- One row per provider, model, validity and input tier. A call is priced by the row with
-- valid_from <= its start < valid_to, second_from <= its second of the UTC day < second_to, and
-- input_tokens_above < its input tokens <= input_tokens_up_to.
--
--   price_id            VARCHAR         names the row, as in llm_calls.price_id
--   provider, model     VARCHAR         names of the price list
--   valid_from          TIMESTAMPTZ     first moment it is valid, UTC
--   valid_to            TIMESTAMPTZ     first moment it is no longer valid, UTC
--   second_from         INTEGER         seconds after midnight UTC (some prices fall at night)
--   second_to           INTEGER         seconds after midnight UTC, exclusive; 86400 = end of day
--   input_tokens_above  BIGINT          tokens; -1 in the lowest tier
--   input_tokens_up_to  BIGINT          tokens
--   input_usd           DECIMAL(24,18)  USD per token of input that is not cached
--   cache_read_usd      DECIMAL(24,18)  USD per token read from the cache
--   cache_write_usd     DECIMAL(24,18)  USD per token written to the cache
--   output_usd          DECIMAL(24,18)  USD per token of output
--   reasoning_usd       DECIMAL(24,18)  USD per token of output spent on reasoning
--   request_usd         DECIMAL(24,18)  USD per call
--   price_source        VARCHAR         genai-prices and its version, or override
CREATE OR REPLACE TEMP VIEW prices AS
SELECT
    price_id, provider, model, valid_from, valid_to, second_from, second_to, input_tokens_above,
    input_tokens_up_to, input_usd, cache_read_usd, cache_write_usd, output_usd, reasoning_usd,
    request_usd, price_source
FROM price_list
