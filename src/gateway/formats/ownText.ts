/** V8 makes a part of a text as a view that holds the whole text: one message would hold the body of its request. */
export const ownText = (part: string): string => Buffer.from(part).toString('utf8');
