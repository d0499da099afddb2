-- Change nothing, as somebody who writes: a file that says it is not to be written refuses it.
UPDATE replaced SET at = at WHERE FALSE
