/** Ways to ask for something that was said earlier (S1-53). */
const phrases: readonly RegExp[] = [
  /\b(?:as we|what did (?:we|i|you)|when did (?:we|i|you)|earlier|previously|remember when|do you remember)\b/i,
  // Not "Decision about the database: …", which says what is decided now.
  /\bthat (?:decision|choice|plan|approach)\b|\b(?:the|our|your) (?:decision|choice|plan|approach) (?:about|for|on|regarding)\b/i,
  /\b(?:go back to|revisit|return to)\b/i,
  /\b(?:remind me|refresh my memory|recall)\b/i,
  /\byou (?:said|mentioned|suggested|recommended)\b/i,
];

/** Whether a message asks for something that was said earlier. */
export const asksForRecall = (text: string): boolean => phrases.some((phrase) => phrase.test(text));
