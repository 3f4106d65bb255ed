/** What a conversation can be imported from, in the order in which a file is tried. */
export const conversationFormats = ['cwindow', 'openai', 'sharegpt', 'vscode', 'chat-context', 'claude-code'] as const;
export type ConversationFormat = (typeof conversationFormats)[number];

/** What a conversation can be exported as. */
export const exportFormats = ['cwindow', 'openai'] as const;
