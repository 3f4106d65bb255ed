/** Behind a model's name, it asks for a conversation that may be longer than the model's context. */
export const memorySuffix = '+memory';

/** What clients are told of the context of such a model: they shorten nothing by themselves then. */
export const memoryTokens = 1_000_000;
