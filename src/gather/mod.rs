//! Gathering: who said the same. Knows nothing of colours, headers or events.
