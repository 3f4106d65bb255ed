/** What a person who deletes should know. The days are the store's (space.md). */
export const trashSentence = 'For seven days it can be had back from the trash.';
