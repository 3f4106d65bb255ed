/** The log's level leaves out less urgent lines. From the least urgent to the most urgent. */
export const logLevels = ['debug', 'info', 'warning', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** `json`: an object a line, for programs. `text`: a line for people. */
export const logFormats = ['json', 'text'] as const;
export type LogFormat = (typeof logFormats)[number];
